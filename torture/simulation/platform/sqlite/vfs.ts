/**
 * SQLite's file system on the simulated disk: to the disk it does what SQLite's own for Unix does (os_unix.c),
 * fsyncs of directories included. What fails here is told to SQLite by its code, never thrown through it.
 */
import type { Disk } from "../../disk.ts";
import { machine } from "../../machine.ts";
import { DatabaseFile, noIndexLocks, type Handle } from "./database-file.ts";
import { c, capi, cTextAt, install, putInt, putLong, wasm, type Pointer } from "./wasm.ts";

const { SQLITE_OK, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_READONLY_DIRECTORY, SQLITE_NOTFOUND } = capi;
const { SQLITE_OPEN_CREATE, SQLITE_OPEN_READWRITE, SQLITE_OPEN_READONLY, SQLITE_OPEN_EXCLUSIVE } = capi;
const { SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_SUPER_JOURNAL, SQLITE_OPEN_WAL } = capi;
const JOURNALS = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

/** What the one for Unix says where it knows no better. */
const SECTOR_BYTES = 4096;
const DEVICE = capi.SQLITE_IOCAP_POWERSAFE_OVERWRITE;

/** Flags of `xShmLock` (sqlite.org/c3ref/c_shm_exclusive.html). */
const SHM_LOCK = 2;
const SHM_EXCLUSIVE = 8;

/** 1970-01-01 as a Julian day in ms. */
const EPOCH = 210866760000000;

const handles = new Map<Pointer, Handle>();
const databases = new WeakMap<Disk, Map<string, DatabaseFile>>();

/** What was thrown beneath SQLite that it cannot be told: the end of a process, or a fault of this simulation. */
let interruption: { readonly thrown: unknown } | null = null;

/** Throws what was thrown since the last call. */
export function rethrow(): void {
  if (interruption === null) return;
  const { thrown } = interruption;
  interruption = null;
  throw thrown;
}

let isTidying = false;

/** Does `work` while nothing at all can be done on the disk: what SQLite does to its memory when a process has died. */
export function tidy(work: () => void): void {
  isTidying = true;
  try {
    work();
  } finally {
    isTidying = false;
  }
}

/** Answers what `work` answers, and `code` where it throws. */
function attempt(code: number, work: () => number): number {
  try {
    return work();
  } catch (error) {
    if (codeOf(error) === undefined) interruption ??= { thrown: error };
    return code;
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** Where the process of a file has died, nothing is done with the file. */
function isOver({ process }: Handle): boolean {
  return isTidying || !process.lives;
}

function isNobody(): boolean {
  return isTidying || !machine().current.lives;
}

function databaseAt(disk: Disk, path: string): DatabaseFile {
  let files = databases.get(disk);
  if (files === undefined) databases.set(disk, (files = new Map<string, DatabaseFile>()));
  let file = files.get(path);
  if (file === undefined) files.set(path, (file = new DatabaseFile()));
  return file;
}

function syncDirectoryOf(disk: Disk, path: string): void {
  disk.open(path.slice(0, path.lastIndexOf("/")) || "/").sync();
}

const ioMethods = {
  xClose(at: Pointer): number {
    const handle = handles.get(at)!;
    handles.delete(at);
    handle.database.close(handle);
    return SQLITE_OK;
  },

  xRead(at: Pointer, into: Pointer, bytes: number, from: bigint): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_READ;
    return attempt(capi.SQLITE_IOERR_READ, () => {
      const heap = wasm.heap8u();
      const count = handle.file.read(heap.subarray(into, into + bytes), Number(from));
      if (count === bytes) return SQLITE_OK;
      heap.fill(0, into + count, into + bytes);
      return capi.SQLITE_IOERR_SHORT_READ;
    });
  },

  xWrite(at: Pointer, from: Pointer, bytes: number, to: bigint): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_WRITE;
    return attempt(capi.SQLITE_IOERR_WRITE, () => {
      try {
        handle.file.write(wasm.heap8u().subarray(from, from + bytes), Number(to));
        return SQLITE_OK;
      } catch (error) {
        if (codeOf(error) === "ENOSPC") return SQLITE_FULL;
        throw error;
      }
    });
  },

  xTruncate(at: Pointer, size: bigint): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_TRUNCATE;
    return attempt(capi.SQLITE_IOERR_TRUNCATE, () => {
      handle.file.truncate(Number(size));
      return SQLITE_OK;
    });
  },

  xSync(at: Pointer): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_FSYNC;
    const answer = attempt(capi.SQLITE_IOERR_FSYNC, () => {
      handle.file.sync();
      return SQLITE_OK;
    });
    if (answer !== SQLITE_OK || !handle.syncsDirectory) return answer;
    handle.syncsDirectory = false;
    // The one for Unix does not look whether this went well either.
    attempt(SQLITE_OK, () => {
      syncDirectoryOf(handle.machine.disk, handle.path);
      return SQLITE_OK;
    });
    return SQLITE_OK;
  },

  xFileSize(at: Pointer, into: Pointer): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_FSTAT;
    return attempt(capi.SQLITE_IOERR_FSTAT, () => {
      putLong(into, handle.file.stat().size);
      return SQLITE_OK;
    });
  },

  xLock(at: Pointer, level: number): number {
    const handle = handles.get(at)!;
    return isOver(handle) ? capi.SQLITE_IOERR_LOCK : handle.database.lock(handle, level);
  },

  xUnlock(at: Pointer, level: number): number {
    const handle = handles.get(at)!;
    handle.level = Math.min(handle.level, level);
    return SQLITE_OK;
  },

  xCheckReservedLock(at: Pointer, into: Pointer): number {
    const handle = handles.get(at)!;
    putInt(into, handle.database.isReserved(handle) ? 1 : 0);
    return SQLITE_OK;
  },

  xFileControl: () => SQLITE_NOTFOUND,
  xSectorSize: () => SECTOR_BYTES,
  xDeviceCharacteristics: () => DEVICE,

  xShmMap(at: Pointer, part: number, bytes: number, extend: number, into: Pointer): number {
    const handle = handles.get(at)!;
    if (isOver(handle)) return capi.SQLITE_IOERR_SHMMAP;
    putInt(into, handle.database.index(handle, part, bytes, extend !== 0) ?? 0);
    return SQLITE_OK;
  },

  xShmLock(at: Pointer, first: number, count: number, flags: number): number {
    const handle = handles.get(at)!;
    const { database } = handle;
    if ((flags & SHM_LOCK) === 0) database.unlockIndex(handle, first, count);
    else if (isOver(handle)) return capi.SQLITE_IOERR_SHMLOCK;
    else return database.lockIndex(handle, first, count, (flags & SHM_EXCLUSIVE) !== 0);
    return SQLITE_OK;
  },

  xShmBarrier() {},

  xShmUnmap(at: Pointer): number {
    const handle = handles.get(at)!;
    handle.database.letGoOfIndex(handle);
    return SQLITE_OK;
  },
};

const vfsMethods = {
  xOpen(_: Pointer, name: Pointer, at: Pointer, flags: number, flagsOut: Pointer): number {
    if (name === 0 || isNobody()) return SQLITE_CANTOPEN; // without a name: temporary, which this SQLite keeps in memory
    return attempt(SQLITE_CANTOPEN, () => {
      const present = machine();
      const { disk, current } = present;
      const path = cTextAt(name);
      const isNewJournal = (flags & SQLITE_OPEN_CREATE) !== 0 && (flags & JOURNALS) !== 0;
      let opened = flags;
      let file;
      try {
        file = disk.open(path, {
          create: (flags & SQLITE_OPEN_CREATE) !== 0,
          exclusive: (flags & SQLITE_OPEN_EXCLUSIVE) !== 0,
        });
      } catch (error) {
        if (isNewJournal && codeOf(error) === "EACCES") return SQLITE_READONLY_DIRECTORY;
        if ((flags & SQLITE_OPEN_READWRITE) === 0 || codeOf(error) === undefined) throw error;
        file = disk.open(path); // what may not be written is read
        opened = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
      }
      const handle: Handle = {
        path,
        file,
        database: databaseAt(disk, path),
        machine: present,
        process: current,
        isReadOnly: (opened & SQLITE_OPEN_READONLY) !== 0,
        level: capi.SQLITE_LOCK_NONE,
        hasIndex: false,
        indexLocks: noIndexLocks(),
        syncsDirectory: isNewJournal,
      };
      handle.database.handles.add(handle);
      handles.set(at, handle);
      putInt(at, IO_METHODS); // the first field of a sqlite3_file
      if (flagsOut !== 0) putInt(flagsOut, opened);
      return SQLITE_OK;
    });
  },

  xDelete(_: Pointer, name: Pointer, syncDirectory: number): number {
    if (isNobody()) return capi.SQLITE_IOERR_DELETE;
    const { disk } = machine();
    const path = cTextAt(name);
    const answer = attempt(capi.SQLITE_IOERR_DELETE, () => {
      if (!disk.exists(path)) return capi.SQLITE_IOERR_DELETE_NOENT;
      disk.unlink(path);
      return SQLITE_OK;
    });
    if (answer !== SQLITE_OK || (syncDirectory & 1) === 0) return answer;
    return attempt(capi.SQLITE_IOERR_DIR_FSYNC, () => {
      syncDirectoryOf(disk, path);
      return SQLITE_OK;
    });
  },

  xAccess(_: Pointer, name: Pointer, flags: number, into: Pointer): number {
    if (isNobody()) return capi.SQLITE_IOERR_ACCESS;
    return attempt(capi.SQLITE_IOERR_ACCESS, () => {
      const { disk } = machine();
      const path = cTextAt(name);
      let answer = disk.exists(path);
      // To the one for Unix, an empty file is not there.
      if (answer && flags === capi.SQLITE_ACCESS_EXISTS) {
        const { isDirectory, size } = disk.stat(path);
        answer = isDirectory || size > 0;
      }
      putInt(into, answer ? 1 : 0);
      return SQLITE_OK;
    });
  },

  xFullPathname(_: Pointer, name: Pointer, bytes: number, into: Pointer): number {
    const heap = wasm.heap8u();
    const end = heap.indexOf(0, name) + 1;
    if (end - name > bytes) return SQLITE_CANTOPEN;
    heap.copyWithin(into, name, end);
    return SQLITE_OK;
  },

  xRandomness(_: Pointer, bytes: number, into: Pointer): number {
    const { random } = machine();
    const heap = wasm.heap8u();
    for (let at = into; at < into + bytes; at += 1) heap[at] = random.whole(0, 255);
    return bytes;
  },

  /** No time passes inside of a call: whoever waits for a lock is told that it is taken. */
  xSleep: (_: Pointer, microseconds: number) => microseconds,

  xCurrentTimeInt64(_: Pointer, into: Pointer): number {
    const { time, wallOffset } = machine();
    putLong(into, EPOCH + Math.floor(time + wallOffset));
    return SQLITE_OK;
  },

  xGetLastError: () => 0,
};

const IO_METHODS = install(vfsMethods, ioMethods);

/** SQLite's own source of chance begins anew with the next number that it draws: from the seed. */
export function reseed(): void {
  c.sqlite3_randomness(0, 0);
}
