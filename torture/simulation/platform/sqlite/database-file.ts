/**
 * What the connections to one database have in common: their locks and the log's index in shared memory.
 * Both are the kernel's: those of a process that died are gone.
 */
import type { OpenFile } from "../../disk.ts";
import type { Machine, Process } from "../../machine.ts";
import { c, capi, wasm, type Pointer } from "./wasm.ts";

/** Locks of the index (`SQLITE_SHM_NLOCK`). */
const INDEX_LOCKS = 8;

/** A file that SQLite has opened. */
export interface Handle {
  readonly path: string;
  readonly file: OpenFile;
  readonly database: DatabaseFile;
  readonly machine: Machine;
  /** Who opened it. */
  readonly process: Process;
  readonly isReadOnly: boolean;
  /** `SQLITE_LOCK_NONE` to `SQLITE_LOCK_EXCLUSIVE`. */
  level: number;
  /** Whether it has the index in its memory, and its locks there: each free, shared or exclusive. */
  hasIndex: boolean;
  readonly indexLocks: ("shared" | "exclusive" | null)[];
  /** The first fsync makes the name durable too. */
  syncsDirectory: boolean;
}

export function noIndexLocks(): Handle["indexLocks"] {
  return Array.from({ length: INDEX_LOCKS }, () => null);
}

const { SQLITE_OK, SQLITE_BUSY, SQLITE_IOERR_LOCK } = capi;
const { SQLITE_LOCK_SHARED, SQLITE_LOCK_RESERVED, SQLITE_LOCK_PENDING, SQLITE_LOCK_EXCLUSIVE } = capi;

export class DatabaseFile {
  readonly handles = new Set<Handle>();
  #index: Pointer[] = [];

  /** As the unix VFS does it (os_unix.c, `unixLock`): who waits to write alone keeps new readers out meanwhile. */
  lock(mine: Handle, wanted: number): number {
    if (mine.level >= wanted) return SQLITE_OK;
    const most = this.#most(mine, ({ level }) => level);
    if (wanted === SQLITE_LOCK_SHARED) {
      if (most >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
    } else {
      if (mine.isReadOnly) return SQLITE_IOERR_LOCK; // fcntl(2): EBADF
      if (most >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
      if (wanted === SQLITE_LOCK_EXCLUSIVE && most >= SQLITE_LOCK_SHARED) {
        mine.level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
      }
    }
    mine.level = wanted;
    return SQLITE_OK;
  }

  isReserved(mine: Handle): boolean {
    return (
      Math.max(
        mine.level,
        this.#most(mine, ({ level }) => level),
      ) >= SQLITE_LOCK_RESERVED
    );
  }

  /** Takes the locks `first` to `first + count - 1` of the index, or none of them. */
  lockIndex(mine: Handle, first: number, count: number, isExclusive: boolean): number {
    for (let place = first; place < first + count; place += 1) {
      for (const other of this.handles) {
        const held = other === mine ? null : other.indexLocks[place]!;
        if (held === null || !other.process.lives) continue;
        if (isExclusive || held === "exclusive") return SQLITE_BUSY;
      }
    }
    mine.indexLocks.fill(isExclusive ? "exclusive" : "shared", first, first + count);
    return SQLITE_OK;
  }

  unlockIndex(mine: Handle, first: number, count: number): void {
    mine.indexLocks.fill(null, first, first + count);
  }

  /** The part of the index with that number; null: there is none yet. */
  index(mine: Handle, part: number, bytes: number, extend: boolean): Pointer | null {
    // Whoever comes when no other has it begins with an empty one, and SQLite recovers what is in the log.
    if (!mine.hasIndex && ![...this.handles].some(({ hasIndex }) => hasIndex)) this.#dropIndex();
    mine.hasIndex = true;
    while (this.#index.length <= part) {
      if (!extend) return null;
      const address = c.sqlite3_malloc(bytes);
      wasm.heap8u().fill(0, address, address + bytes);
      this.#index.push(address);
    }
    return this.#index[part]!;
  }

  letGoOfIndex(mine: Handle): void {
    mine.hasIndex = false;
    mine.indexLocks.fill(null);
    if (![...this.handles].some(({ hasIndex }) => hasIndex)) this.#dropIndex();
  }

  close(mine: Handle): void {
    this.handles.delete(mine);
    if (mine.hasIndex) this.letGoOfIndex(mine);
  }

  #dropIndex(): void {
    for (const address of this.#index) c.sqlite3_free(address);
    this.#index = [];
  }

  #most(mine: Handle, of: (handle: Handle) => number): number {
    let most = 0;
    for (const handle of this.handles) if (handle !== mine && handle.process.lives) most = Math.max(most, of(handle));
    return most;
  }
}
