/**
 * The simulated disk: what a file system promises by POSIX and no more. A write is read back at once,
 * and is sure to be there after a power loss only when its file was fsynced after it; a name, only when
 * its directory was: an fsync of the file does not make its name durable. Rename is atomic.
 *
 *     const disk = new Disk(random, () => wallClockMs);
 *     disk.mkdir("/data");                            // paths are absolute; "/" is there from the start
 *     const file = disk.open("/data/x", { create: true, exclusive: true, truncate: false });
 *     file.write(bytes, at); file.read(into, at); file.truncate(size); file.sync(); file.stat();
 *     disk.open("/data").sync();                      // a directory's names
 *     disk.rename(from, to); disk.link(from, to); disk.unlink(path); disk.rmdir(path);
 *     disk.readdir(path); disk.stat(path); disk.exists(path);
 *     disk.before = (operation) => { throw fault("ENOSPC", operation) };
 *     disk.operations                                 // how many that change something were begun
 *     disk.powerLoss();                               // what was open must be opened anew
 *     disk.afterPowerLoss(random)                     // the same as another disk, and this one goes on
 *     for (const [path, bytes] of disk.tree("/")) …   // bytes: null for a directory
 *     disk.release();                                 // at its end: thousands of disks share the memory of one
 *
 * Faults have Node's shape (`code`, `errno`, `syscall`, `path`, `dest`). It knows nothing of processes: of
 * what is opened, nothing need be closed. Whoever simulates a process that dies throws in `before`, from then on always.
 */
import { fault } from "./disk/fault.ts";
import { DirectoryInode, FileInode, type Inode, type NameChange } from "./disk/inode.ts";
import { afterPowerLoss } from "./disk/power-loss.ts";
import type { Random } from "./random.ts";

export { fault } from "./disk/fault.ts";

/** What is about to be done, by the name of its system call. */
export interface Operation {
  readonly name:
    | "open"
    | "read"
    | "write"
    | "ftruncate"
    | "fsync"
    | "rename"
    | "link"
    | "unlink"
    | "mkdir"
    | "rmdir"
    | "scandir"
    | "stat"
    | "lstat"
    | "fstat"
    | "access";
  /** For what is done to an open file: the path by which it was opened. */
  readonly path: string;
  /** The second path of a rename or link. */
  readonly to?: string;
  /** Whether it changes the disk, or makes a change durable. */
  readonly changes: boolean;
  /** How many bytes are written, and where. */
  readonly bytes?: number;
  readonly at?: number;
}

export interface OpenWay {
  /** Made if it is missing. */
  readonly create?: boolean;
  /** With `create`: EEXIST where it is there. */
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
}

export interface Stat {
  /** The inode's number. */
  readonly number: number;
  readonly isDirectory: boolean;
  readonly size: number;
  /** Of the last change, wall clock, ms. */
  readonly changedAt: number;
}

export class Disk {
  readonly random: Random;
  /** Called before each operation; what it throws is thrown instead of doing it. */
  before: ((operation: Operation) => void) | null = null;
  /** How many operations that change something were begun. */
  operations = 0;
  readonly #now: () => number;
  #root: DirectoryInode;
  #inodes = 1;
  #changes = 0;

  /** `now`: the wall clock, ms. */
  constructor(random: Random, now: () => number = () => 0) {
    this.random = random;
    this.#now = now;
    this.#root = new DirectoryInode(1, 0);
  }

  /** Opens the file or directory at `path`. */
  open(path: string, { create = false, exclusive = false, truncate = false }: OpenWay = {}): OpenFile {
    const found = this.#find(path, "open");
    const operation = { name: "open", path, changes: (found === undefined && create) || truncate } as const;
    this.begin(operation);
    if (found === undefined) {
      if (!create) throw fault("ENOENT", operation);
      const inode = new FileInode((this.#inodes += 1), this.#now());
      this.#changeNames({ inode, from: null, to: this.#place(operation, path) });
      return new OpenFile(this, inode, path);
    }
    if (create && exclusive) throw fault("EEXIST", operation);
    if (found instanceof DirectoryInode) {
      if (create || truncate) throw fault("EISDIR", operation);
    } else if (truncate && found.present.size > 0) {
      this.changeFile(found, 0, null);
    }
    return new OpenFile(this, found, path);
  }

  rename(from: string, to: string): void {
    const operation = { name: "rename", path: from, to, changes: true } as const;
    this.begin(operation);
    const inode = this.#expect(operation, from);
    const source = this.#place(operation, from);
    const target = this.#place(operation, to);
    const replaced = target.directory.present.get(target.name);
    if (replaced === inode) return; // two names of one file: rename(2) does nothing
    if (replaced instanceof DirectoryInode) {
      if (inode instanceof FileInode) throw fault("EISDIR", operation);
      if (replaced.present.size > 0) throw fault("ENOTEMPTY", operation);
    } else if (replaced !== undefined && inode instanceof DirectoryInode) {
      throw fault("ENOTDIR", operation);
    }
    this.#changeNames({ inode, from: source, to: target });
  }

  /** Gives the file at `from` the name `to` too. */
  link(from: string, to: string): void {
    const operation = { name: "link", path: from, to, changes: true } as const;
    this.begin(operation);
    const inode = this.#expect(operation, from);
    if (inode instanceof DirectoryInode) throw fault("EPERM", operation);
    const target = this.#place(operation, to);
    if (target.directory.present.has(target.name)) throw fault("EEXIST", operation);
    this.#changeNames({ inode, from: null, to: target });
  }

  unlink(path: string): void {
    const operation = { name: "unlink", path, changes: true } as const;
    this.begin(operation);
    const inode = this.#expect(operation, path);
    if (inode instanceof DirectoryInode) throw fault("EISDIR", operation);
    this.#changeNames({ inode, from: this.#place(operation, path), to: null });
  }

  mkdir(path: string): void {
    const operation = { name: "mkdir", path, changes: true } as const;
    this.begin(operation);
    if (this.#find(path, "mkdir") !== undefined) throw fault("EEXIST", operation);
    const inode = new DirectoryInode((this.#inodes += 1), this.#now());
    this.#changeNames({ inode, from: null, to: this.#place(operation, path) });
  }

  rmdir(path: string): void {
    const operation = { name: "rmdir", path, changes: true } as const;
    this.begin(operation);
    const inode = this.#expect(operation, path);
    if (inode instanceof FileInode) throw fault("ENOTDIR", operation);
    if (inode.present.size > 0) throw fault("ENOTEMPTY", operation);
    this.#changeNames({ inode, from: this.#place(operation, path), to: null });
  }

  /** The names in the directory at `path`, sorted. */
  readdir(path: string): string[] {
    const operation = { name: "scandir", path, changes: false } as const;
    this.begin(operation);
    const inode = this.#expect(operation, path);
    if (inode instanceof FileInode) throw fault("ENOTDIR", operation);
    return [...inode.present.keys()].sort();
  }

  /** There are no symbolic links: `lstat` is the same by another name. */
  stat(path: string, name: "stat" | "lstat" | "access" = "stat"): Stat {
    const operation = { name, path, changes: false } as const;
    this.begin(operation);
    return statOf(this.#expect(operation, path));
  }

  /** Whether something has this name. No operation: nothing is told of it, and nothing can fail. */
  exists(path: string): boolean {
    let inode: Inode | undefined = this.#root;
    for (const part of partsOf(path)) inode = inode instanceof DirectoryInode ? inode.present.get(part) : undefined;
    return inode !== undefined;
  }

  /** All that lies at and under `path`, a directory before what is in it, with its bytes; a directory has none. No operation. */
  *tree(path: string): Generator<readonly [path: string, bytes: Uint8Array | null]> {
    const inode = this.#find(path, "stat");
    if (inode !== undefined) yield* walk(path, inode);
  }

  /** The power fails and comes back. What was open must not be used any more. */
  powerLoss(): void {
    const before = this.#root;
    this.#root = afterPowerLoss(before, this.#changes, this.random);
    release(before);
  }

  /** Nobody looks at it any more: others have its memory. */
  release(): void {
    release(this.#root);
    this.#root = new DirectoryInode(1, 0);
  }

  /** What this disk would be after a power loss. `random` decides what is left of that which was not fsynced. */
  afterPowerLoss(random: Random): Disk {
    const disk = new Disk(random, this.#now);
    disk.#root = afterPowerLoss(this.#root, this.#changes, random);
    disk.#inodes = this.#inodes;
    disk.#changes = this.#changes;
    return disk;
  }

  /** Order of the last change. For `OpenFile`. */
  get latest(): number {
    return this.#changes;
  }

  /** For `OpenFile`, as the next. */
  begin(operation: Operation): void {
    if (operation.changes) this.operations += 1;
    this.before?.(operation);
  }

  changeFile(inode: FileInode, at: number, bytes: Uint8Array | null): void {
    inode.change({ order: (this.#changes += 1), at, bytes });
    inode.changedAt = this.#now();
  }

  #changeNames(change: Omit<NameChange, "order">): void {
    const whole = { ...change, order: (this.#changes += 1) };
    const { from, to, inode } = whole;
    for (const directory of new Set([from?.directory, to?.directory])) {
      if (directory === undefined) continue;
      directory.pending.push(whole);
      directory.changedAt = this.#now();
    }
    from?.directory.present.delete(from.name);
    to?.directory.present.set(to.name, inode);
  }

  #find(path: string, name: Operation["name"]): Inode | undefined {
    let inode: Inode | undefined = this.#root;
    for (const part of partsOf(path)) {
      if (inode instanceof FileInode) throw fault("ENOTDIR", { name, path });
      inode = inode?.present.get(part);
      if (inode === undefined) return undefined;
    }
    return inode;
  }

  #expect(operation: Operation, path: string): Inode {
    const inode = this.#find(path, operation.name);
    if (inode === undefined) throw fault("ENOENT", operation);
    return inode;
  }

  /** Where the name `path` is, or would be. */
  #place(operation: Operation, path: string): { directory: DirectoryInode; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const directory = this.#find(`/${parts.join("/")}`, operation.name);
    if (name === undefined) throw fault("EBUSY", operation);
    if (directory === undefined) throw fault("ENOENT", operation);
    if (directory instanceof FileInode) throw fault("ENOTDIR", operation);
    return { directory, name };
  }
}

/** A file or directory that was opened: it stays what it is when its name is taken. */
export class OpenFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #inode: Inode;

  /** For `Disk.open`. */
  constructor(disk: Disk, inode: Inode, path: string) {
    this.#disk = disk;
    this.#inode = inode;
    this.path = path;
  }

  /** Answers how many bytes there were. */
  read(into: Uint8Array, at: number): number {
    const operation = { name: "read", path: this.path, changes: false, at, bytes: into.length } as const;
    this.#disk.begin(operation);
    return this.#file(operation).present.read(into, at);
  }

  write(bytes: Uint8Array, at: number): void {
    const operation = { name: "write", path: this.path, changes: true, at, bytes: bytes.length } as const;
    this.#disk.begin(operation);
    this.#disk.changeFile(this.#file(operation), at, bytes);
  }

  /** Cuts it to `size` bytes, or makes it that long with zeros. */
  truncate(size: number): void {
    const operation = { name: "ftruncate", path: this.path, changes: true, at: size } as const;
    this.#disk.begin(operation);
    const inode = this.#file(operation);
    if (size !== inode.present.size) this.#disk.changeFile(inode, size, null);
  }

  /** Makes a file's bytes, or a directory's names, durable. */
  sync(): void {
    this.beginSync()();
  }

  /** Begins an fsync that takes its time: what is there now is durable when the answer is called. */
  beginSync(): () => void {
    try {
      this.#disk.begin({ name: "fsync", path: this.path, changes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EIO") this.failSync();
      throw error;
    }
    const latest = this.#disk.latest;
    return () => this.#inode.sync(latest);
  }

  /** An fsync of it has failed. */
  failSync(): void {
    if (this.#inode instanceof FileInode) this.#inode.failSync(this.#disk.random);
  }

  stat(): Stat {
    this.#disk.begin({ name: "fstat", path: this.path, changes: false });
    return statOf(this.#inode);
  }

  /** Its length, bytes. No operation. */
  get size(): number {
    return this.#inode instanceof FileInode ? this.#inode.present.size : 0;
  }

  #file(operation: Operation): FileInode {
    if (this.#inode instanceof DirectoryInode) throw fault("EISDIR", operation);
    return this.#inode;
  }
}

function statOf(inode: Inode): Stat {
  const isDirectory = inode instanceof DirectoryInode;
  return {
    number: inode.number,
    isDirectory,
    size: isDirectory ? 4096 : inode.present.size,
    changedAt: inode.changedAt,
  };
}

function* walk(path: string, inode: Inode): Generator<readonly [path: string, bytes: Uint8Array | null]> {
  if (inode instanceof FileInode) return yield [path, inode.present.view];
  yield [path, null];
  for (const [name, child] of inode.present) yield* walk(path === "/" ? `/${name}` : `${path}/${name}`, child);
}

function release(inode: Inode): void {
  if (inode instanceof FileInode) return inode.release();
  for (const child of new Set([...inode.present.values(), ...inode.durable.values()])) release(child);
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
