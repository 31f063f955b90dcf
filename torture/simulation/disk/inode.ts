/** What names lead to: files and directories, each as it is and as it is sure to be after a power loss. */
import type { Random } from "../random.ts";
import { Bytes } from "./bytes.ts";

/** What was done to a file since it was fsynced: bytes written at `at`, or, where there are none, cut or grown to `at`. */
interface Change {
  /** Place among all changes of the disk. */
  readonly order: number;
  readonly at: number;
  /** Where the bytes are in the file's journal. */
  readonly written: Stretch | null;
  /** Those that were there before. */
  readonly replaced: Stretch;
  readonly sizeBefore: number;
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** A change, to whoever decides what becomes of it. */
export interface FileChange {
  readonly order: number;
  readonly at: number;
  readonly bytes: Uint8Array | null;
}

/** Does a change to bytes, as a whole or in part. */
export type Doing = (bytes: Bytes, change: FileChange) => void;

export const doWhole: Doing = (bytes, { at, bytes: written }) => {
  if (written === null) bytes.resize(at);
  else bytes.write(written, at);
};

export class FileInode {
  readonly number: number;
  readonly present: Bytes;
  /** Of the last change, wall clock, ms. */
  changedAt: number;
  /** What is sure to be there after a power loss, once an fsync has failed. Before that, it is what is present without the changes since. */
  #durable: Bytes | null = null;
  #changes: Change[] = [];
  /** The bytes of the changes, in one piece that is used again: there are many, and each fsync forgets them. */
  readonly #journal = new Bytes();

  constructor(number: number, changedAt: number, present: Bytes = new Bytes()) {
    this.number = number;
    this.changedAt = changedAt;
    this.present = present;
  }

  change({ order, at, bytes }: FileChange): void {
    const sizeBefore = this.present.size;
    const replaced = this.#keep(this.present.view.subarray(at, bytes === null ? sizeBefore : at + bytes.length));
    this.#changes.push({ order, at, written: bytes && this.#keep(bytes), replaced, sizeBefore });
    doWhole(this.present, { order, at, bytes });
  }

  /** What is written is durable. */
  sync(): void {
    if (this.#durable !== null) this.#redo(this.#durable, doWhole);
    this.#forgetChanges();
  }

  /** An fsync has failed: Linux takes what it could not write for written (fsync(2), NOTES), so that no later fsync writes it. It is still read back. */
  failSync(random: Random): void {
    this.#durable = this.after((bytes, change) => {
      if (random.chance(0.5)) doWhole(bytes, change);
    });
    this.#forgetChanges();
  }

  /** What is durable, and of each change since what `doing` does of it. */
  after(doing: Doing): Bytes {
    const bytes = (this.#durable ?? this.present).copy();
    if (this.#durable === null) this.#undo(bytes);
    this.#redo(bytes, doing);
    return bytes;
  }

  release(): void {
    for (const bytes of [this.present, this.#durable, this.#journal]) bytes?.release();
    this.#changes = [];
  }

  #undo(bytes: Bytes): void {
    for (const { at, replaced, sizeBefore } of this.#changes.toReversed()) {
      bytes.resize(sizeBefore);
      bytes.write(this.#kept(replaced), at);
    }
  }

  #redo(bytes: Bytes, doing: Doing): void {
    for (const { order, at, written } of this.#changes)
      doing(bytes, { order, at, bytes: written && this.#kept(written) });
  }

  #forgetChanges(): void {
    this.#changes = [];
    this.#journal.resize(0);
  }

  #keep(bytes: Uint8Array): Stretch {
    const start = this.#journal.size;
    this.#journal.write(bytes, start);
    return { start, end: this.#journal.size };
  }

  #kept({ start, end }: Stretch): Uint8Array {
    return this.#journal.view.subarray(start, end);
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
