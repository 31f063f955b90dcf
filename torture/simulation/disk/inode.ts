/** What names lead to: files and directories, each as it is now and as it surely is on the platters. */
import type { Random } from "../random.ts";

/** Bytes that grow; what was never written is zero. */
export class Bytes {
  #space: Uint8Array;
  #size: number;

  /** Takes `space` as its own. */
  constructor(space: Uint8Array = new Uint8Array(0)) {
    this.#space = space;
    this.#size = space.length;
  }

  get size(): number {
    return this.#size;
  }

  /** The bytes themselves: to be read at once, and not to be kept. */
  get view(): Uint8Array {
    return this.#space.subarray(0, this.#size);
  }

  copy(): Bytes {
    return new Bytes(this.#space.slice(0, this.#size));
  }

  /** Answers how many bytes there were. */
  read(into: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - at));
    if (count > 0) into.set(this.#space.subarray(at, at + count));
    return count;
  }

  write(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.#size) this.resize(at + bytes.length);
    this.#space.set(bytes, at);
  }

  resize(size: number): void {
    if (size > this.#space.length) {
      const grown = new Uint8Array(Math.max(size, this.#space.length * 2));
      grown.set(this.view);
      this.#space = grown;
    } else if (size > this.#size) {
      this.#space.fill(0, this.#size, size);
    }
    this.#size = size;
  }
}

/** What was done to a file since it was fsynced: bytes written at `at`, or, without bytes, cut or grown to `at`. */
export interface FileChange {
  /** Place among all changes of the disk. */
  readonly order: number;
  readonly at: number;
  readonly bytes: Uint8Array | null;
}

export function applyTo(bytes: Bytes, change: FileChange): void {
  if (change.bytes === null) bytes.resize(change.at);
  else bytes.write(change.bytes, change.at);
}

export class FileInode {
  readonly number: number;
  readonly present: Bytes;
  readonly durable: Bytes;
  pending: FileChange[] = [];
  /** Of the last change, wall clock, ms. */
  changedAt: number;

  constructor(number: number, changedAt: number, present: Bytes = new Bytes(), durable: Bytes = new Bytes()) {
    this.number = number;
    this.changedAt = changedAt;
    this.present = present;
    this.durable = durable;
  }

  change(change: FileChange): void {
    applyTo(this.present, change);
    this.pending.push(change);
  }

  /** What is written is durable, up to the change of that order. */
  sync(latest: number): void {
    for (const change of this.pending) if (change.order <= latest) applyTo(this.durable, change);
    this.pending = this.pending.filter(({ order }) => order > latest);
  }

  /** An fsync has failed: Linux takes what it could not write for written (fsync(2), NOTES), so that no later fsync writes it. It is still read back. */
  forget(random: Random): void {
    for (const change of this.pending) if (random.chance(0.5)) applyTo(this.durable, change);
    this.pending = [];
  }
}

interface Name {
  readonly directory: DirectoryInode;
  readonly name: string;
}

/** A name that was given or taken, or, both in one, a rename: it is done as a whole or not at all. */
export interface NameChange {
  readonly order: number;
  readonly inode: Inode;
  readonly from: Name | null;
  readonly to: Name | null;
}

export class DirectoryInode {
  readonly number: number;
  readonly present = new Map<string, Inode>();
  readonly durable = new Map<string, Inode>();
  pending: NameChange[] = [];
  changedAt: number;

  constructor(number: number, changedAt: number) {
    this.number = number;
    this.changedAt = changedAt;
  }

  /**
   * Its names are durable, up to the change of that order. A file that was moved elsewhere is not: that takes an fsync of the
   * directory that it was moved into, and until then it may be found here again, or there.
   */
  sync(latest: number): void {
    const still: NameChange[] = [];
    for (const change of this.pending) {
      const { from, to, order } = change;
      if (order > latest || (to !== null && to.directory !== this)) {
        still.push(change);
        continue;
      }
      applyNames(change, (directory) => directory.durable);
      if (from !== null && from.directory !== this) {
        from.directory.pending = from.directory.pending.filter((other) => other !== change);
      }
    }
    this.pending = still;
  }
}

export type Inode = FileInode | DirectoryInode;

/** Does `change` to the names that `namesOf` answers for a directory. */
export function applyNames(
  { from, to, inode }: NameChange,
  namesOf: (directory: DirectoryInode) => Map<string, Inode>,
): void {
  if (from !== null) {
    const names = namesOf(from.directory);
    if (names.get(from.name) === inode) names.delete(from.name);
  }
  if (to !== null) namesOf(to.directory).set(to.name, inode);
}
