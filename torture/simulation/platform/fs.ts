/** Stands in for `node:fs`: as much of it as the simulated modules use. A call takes no time. */
import { constants } from "node:fs";
import { Duplex, Readable, type Writable } from "node:stream";
import type { OpenFile } from "../disk.ts";
import { type Machine, machine } from "../machine.ts";
import { codeOf, diskNow, parentOf, statsOf, wayOf, type Stats } from "./file-call.ts";
import { open } from "./fs-promises.ts";

export { constants };

/** By descriptor, less those of the standard streams. */
const opened = new WeakMap<Machine, (OpenFile | null)[]>();
const FIRST = 3;

function filesNow(): (OpenFile | null)[] {
  const present = machine();
  let files = opened.get(present);
  if (files === undefined) opened.set(present, (files = []));
  return files;
}

export function openSync(path: string, flags: string | number = "r"): number {
  return filesNow().push(diskNow().open(path, wayOf(flags))) - 1 + FIRST;
}

export function closeSync(descriptor: number): void {
  filesNow()[descriptor - FIRST] = null;
}

export function fsyncSync(descriptor: number): void {
  diskNow();
  filesNow()[descriptor - FIRST]!.sync();
}

export function existsSync(path: string): boolean {
  return diskNow().exists(path);
}

/** Whoever runs here may do all: what fails is the disk. */
export function accessSync(path: string): void {
  diskNow().stat(path, "access");
}

/** Permissions are not simulated. */
export function chmodSync(path: string): void {
  diskNow().stat(path);
}

export function statSync(
  path: string,
  { throwIfNoEntry = true }: { throwIfNoEntry?: boolean } = {},
): Stats | undefined {
  try {
    return statsOf(diskNow().stat(path));
  } catch (error) {
    if (!throwIfNoEntry && codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

export function mkdirSync(path: string, { recursive = false }: { recursive?: boolean } = {}): void {
  const disk = diskNow();
  if (!recursive) return disk.mkdir(path);
  if (disk.exists(path) && disk.stat(path).isDirectory) return;
  if (!disk.exists(parentOf(path))) mkdirSync(parentOf(path), { recursive });
  disk.mkdir(path);
}

export function rmSync(path: string, options: { recursive?: boolean; force?: boolean } = {}): void {
  const { recursive = false, force = false } = options;
  const disk = diskNow();
  if (force && !disk.exists(path)) return;
  if (!disk.stat(path, "lstat").isDirectory || !recursive) return disk.unlink(path);
  for (const name of disk.readdir(path)) rmSync(`${path}/${name}`, options);
  disk.rmdir(path);
}

export function createReadStream(path: string): Readable {
  return Readable.from(chunksOf(path), { objectMode: false });
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  const file = await open(path);
  yield* file.createReadStream() as AsyncIterable<Buffer>;
}

export function createWriteStream(path: string, { flags = "w" }: { flags?: string } = {}): Writable {
  return Duplex.from(async (chunks: AsyncIterable<Buffer>) => {
    const file = await open(path, flags);
    let at = 0;
    for await (const chunk of chunks) {
      await file.write(chunk, 0, chunk.length, at);
      at += chunk.length;
    }
  });
}
