/** What the stand-ins for the file modules have in common: who may still call, and what Node makes of the answers. */
import { constants } from "node:fs";
import type { Disk, OpenWay, Stat } from "../disk.ts";
import { machine } from "../machine.ts";

/** A call is rarely slow, ms. */
const FAST_MS = 0.2;
const SLOW_MS = 20;
const SLOW = 0.01;

/** The disk, for a process that lives. */
export function diskNow(): Disk {
  const { current, disk } = machine();
  if (!current.lives) throw new Error(`The process ${current.name} has died.`);
  return disk;
}

/**
 * A call into the kernel by a thread of Node's pool: it takes a while, and is done at its beginning or at its end.
 * Of one that its process does not outlive, nothing is heard.
 */
export function call<T>(work: (disk: Disk) => T): Promise<T> {
  const present = machine();
  const { random, current } = present;
  const ms = random.next() * (random.chance(SLOW) ? SLOW_MS : FAST_MS);
  return new Promise((resolve, reject) => {
    /** Does it, and answers what is to be told of it then. */
    function done(): () => void {
      try {
        const value = work(diskNow());
        return () => resolve(value);
      } catch (error) {
        return current.lives ? () => reject(error) : () => {};
      }
    }
    if (random.chance(0.5)) present.after(ms, done());
    else present.after(ms, () => done()());
  });
}

/** What Node's `flags` of an open say. */
export function wayOf(flags: string | number): OpenWay {
  if (typeof flags === "number") {
    return {
      create: (flags & constants.O_CREAT) !== 0,
      exclusive: (flags & constants.O_EXCL) !== 0,
      truncate: (flags & constants.O_TRUNC) !== 0,
    };
  }
  return { create: /[wa]/.test(flags), exclusive: flags.includes("x"), truncate: flags.startsWith("w") };
}

/** `Stats`, as far as anybody asks. Files are their user's alone. */
export interface Stats {
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

export function statsOf({ size, changedAt, isDirectory }: Stat): Stats {
  return { size, mtimeMs: changedAt, mode: 0o600, isFile: () => !isDirectory, isDirectory: () => isDirectory };
}

export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
