/**
 * From what a real server did to a disk that lost its power: the log is played onto the simulated disk
 * (torture/simulation/disk.ts), which knows what a power loss leaves, and what is left is written out into a real directory.
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Disk, type OpenFile } from "../simulation/disk.ts";
import { Random } from "../simulation/random.ts";
import { entries, type Entry } from "./log.ts";

/** Permissions by the number of an inode of the disk; those that are not named are their owner's alone. */
type Modes = ReadonlyMap<number, number>;

/** A disk after a power loss, at rest. */
export interface Rest {
  readonly disk: Disk;
  readonly modes: Modes;
}

export function emptyRest(): Rest {
  return { disk: new Disk(new Random(0)), modes: new Map() };
}

/** Writes all of `rest` into `directory`, which is there and empty. */
export function writeOut({ disk, modes }: Rest, directory: string): void {
  for (const [path, bytes] of disk.tree("/")) {
    if (path === "/") continue;
    const mode = modes.get(disk.stat(path).number);
    if (bytes === null) mkdirSync(join(directory, path), { mode: mode ?? 0o700 });
    else writeFileSync(join(directory, path), bytes, { mode: mode ?? 0o600 });
  }
}

export class Replay {
  readonly #disk: Disk;
  readonly #modes: Map<number, number>;
  /** By their numbers on the real disk. */
  readonly #files = new Map<number, OpenFile>();
  /** Fsyncs that have begun. */
  readonly #syncs = new Map<number, () => void>();
  #place = 0;

  /** Of a life that begins with `start`, as it lies in `directory` now. */
  constructor(start: Rest, directory: string) {
    this.#disk = start.disk.afterPowerLoss(new Random(0)); // all of it is durable: a copy
    this.#modes = new Map(start.modes);
    const names = readdirSync(directory, { recursive: true }) as string[];
    for (const name of ["", ...names]) {
      this.#files.set(statSync(join(directory, name)).ino, this.#disk.open(`/${name}`));
    }
  }

  /** The disk as it is without a power loss. */
  get present(): Rest {
    return { disk: this.#disk, modes: this.#modes };
  }

  /** What a power loss now would leave, one of many possibilities. */
  afterPowerLoss(seed: number): Rest {
    return { disk: this.#disk.afterPowerLoss(new Random(seed)), modes: new Map(this.#modes) };
  }

  /** Goes on in `log`, always the same, until `place`. */
  goTo(log: Buffer, place: number): void {
    for (const entry of entries(log, this.#place)) {
      if (entry.end > place) return;
      this.#apply(entry);
      this.#place = entry.end;
    }
  }

  #apply(entry: Entry): void {
    const { name, number } = entry;
    const path = `/${entry.path}`;
    const to = `/${entry.to}`;
    switch (name) {
      case "create":
        return this.#made(entry, this.#disk.open(path, { create: true, exclusive: true }));
      case "mkdir":
        this.#disk.mkdir(path);
        return this.#made(entry, this.#disk.open(path));
      case "write":
        return this.#file(entry).write(entry.data, number);
      case "truncate":
        return this.#file(entry).truncate(number);
      case "rename":
        return this.#disk.rename(path, to);
      case "link":
        return this.#disk.link(path, to);
      case "unlink":
        return this.#disk.unlink(path);
      case "rmdir":
        return this.#disk.rmdir(path);
      case "chmod":
        return void this.#modes.set(this.#file(entry).stat().number, entry.mode);
      case "sync":
        return this.#file(entry).sync();
      case "sync-begin":
        return void this.#syncs.set(number, this.#file(entry).beginSync());
      case "sync-end":
        // Where the disk lied when it began, nothing is known of it.
        this.#syncs.get(number)?.();
        return void this.#syncs.delete(number);
      case "sync-failed":
        this.#syncs.delete(number);
        return this.#file(entry).failSync();
      case "map":
        return this.#checkMapped(this.#file(entry).path);
      case "other":
        throw new Error(`What was done to ${entry.path} and ${entry.to} is not understood.`);
    }
  }

  #made({ inode, mode }: Entry, file: OpenFile): void {
    this.#files.set(inode, file);
    this.#modes.set(file.stat().number, mode);
  }

  #file({ inode, name }: Entry): OpenFile {
    const file = this.#files.get(inode);
    if (file === undefined) throw new Error(`The log has a ${name} of a file and not how that came to be.`);
    return file;
  }

  /** What is written into a mapped file is not in the log. SQLite needs nothing of its -shm after a loss; of any other file that must not be. */
  #checkMapped(path: string): void {
    if (!path.endsWith("-shm")) throw new Error(`${path} is written through a mapping.`);
  }
}
