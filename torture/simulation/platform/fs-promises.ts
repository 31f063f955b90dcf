/** Stands in for `node:fs/promises`: as much of it as the simulated modules use. Each call into the kernel takes its time. */
import { constants } from "node:fs";
import { Readable } from "node:stream";
import type { OpenFile } from "../disk.ts";
import { machine } from "../machine.ts";
import { call, codeOf, parentOf, statsOf, wayOf, type Stats } from "./file-call.ts";

const CHUNK_BYTES = 64 * 1024;

/** After which of these a removal is tried again where it was asked for. */
const RETRIED: ReadonlySet<unknown> = new Set(["EBUSY", "EMFILE", "ENFILE", "ENOTEMPTY", "EPERM"]);

export class FileHandle implements AsyncDisposable {
  readonly #file: OpenFile;
  /** Where the next read without a position begins. */
  #at = 0;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  async read<T extends Uint8Array>(
    buffer: T,
    offset = 0,
    length: number = buffer.length - offset,
    position: number | null = null,
  ): Promise<{ bytesRead: number; buffer: T }> {
    return await call(() => {
      const bytesRead = this.#file.read(buffer.subarray(offset, offset + length), position ?? this.#at);
      if (position === null) this.#at += bytesRead;
      return { bytesRead, buffer };
    });
  }

  async write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<void> {
    await call(() => this.#file.write(buffer.subarray(offset, offset + length), position));
  }

  async sync(): Promise<void> {
    await call(() => this.#file.sync());
  }

  async stat(): Promise<Stats> {
    return await call(() => statsOf(this.#file.stat()));
  }

  /** `end` is the last byte. */
  createReadStream({ start = 0, end = Infinity }: { start?: number; end?: number } = {}): Readable {
    return Readable.from(this.#chunks(start, end), { objectMode: false });
  }

  async *#chunks(start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at <= end;) {
      const { bytesRead, buffer } = await this.read(
        Buffer.alloc(Math.min(CHUNK_BYTES, end - at + 1)),
        0,
        undefined,
        at,
      );
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async close(): Promise<void> {
    await call(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export async function open(path: string, flags: string | number = "r"): Promise<FileHandle> {
  return new FileHandle(await call((disk) => disk.open(path, wayOf(flags))));
}

export async function readFile(path: string): Promise<Buffer> {
  return await call((disk) => {
    const file = disk.open(path);
    const bytes = Buffer.alloc(file.size);
    file.read(bytes, 0);
    return bytes;
  });
}

export async function writeFile(
  path: string,
  data: Uint8Array | string,
  { flag = "w", flush = false }: { flag?: string; flush?: boolean } = {},
): Promise<void> {
  const file = await open(path, flag);
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  await file.write(bytes, 0, bytes.length, 0);
  if (flush) await file.sync();
}

export async function copyFile(from: string, to: string, mode = 0): Promise<void> {
  const exclusive = (mode & constants.COPYFILE_EXCL) !== 0;
  const [source, target] = await call((disk) => {
    return [disk.open(from), disk.open(to, { create: true, exclusive, truncate: true })] as const;
  });
  await call(() => {
    const bytes = new Uint8Array(source.size);
    source.read(bytes, 0);
    target.write(bytes, 0);
  });
}

export async function link(from: string, to: string): Promise<void> {
  await call((disk) => disk.link(from, to));
}

export async function rename(from: string, to: string): Promise<void> {
  await call((disk) => disk.rename(from, to));
}

export async function unlink(path: string): Promise<void> {
  await call((disk) => disk.unlink(path));
}

export async function rmdir(path: string): Promise<void> {
  await call((disk) => disk.rmdir(path));
}

export async function stat(path: string): Promise<Stats> {
  return await call((disk) => statsOf(disk.stat(path)));
}

export async function lstat(path: string): Promise<Stats> {
  return await call((disk) => statsOf(disk.stat(path, "lstat")));
}

export async function readdir(path: string): Promise<string[]> {
  return await call((disk) => disk.readdir(path));
}

export async function opendir(path: string): Promise<AsyncIterable<{ readonly name: string }>> {
  const names = await readdir(path);
  return Readable.from(names.map((name) => ({ name })));
}

/** Others may remove between two levels what was just made: then it fails as Node's does. */
export async function mkdir(path: string, { recursive = false }: { recursive?: boolean } = {}): Promise<void> {
  if (!recursive) return await call((disk) => disk.mkdir(path));
  const isThere = await call((disk) => {
    if (disk.exists(path) && disk.stat(path).isDirectory) return true;
    if (!disk.exists(parentOf(path))) return false;
    disk.mkdir(path);
    return true;
  });
  if (isThere) return;
  await mkdir(parentOf(path), { recursive });
  await call((disk) => {
    if (!disk.exists(path)) disk.mkdir(path);
  });
}

export async function rm(
  path: string,
  options: { recursive?: boolean; force?: boolean; maxRetries?: number; retryDelay?: number } = {},
): Promise<void> {
  const { recursive = false, force = false, maxRetries = 0, retryDelay = 100 } = options;
  for (let tries = 1; ; tries += 1) {
    try {
      return await (recursive ? removeTree(path, force) : removeOne(path, force));
    } catch (error) {
      if (!recursive || tries > maxRetries || !RETRIED.has(codeOf(error))) throw error;
      await new Promise<void>((resolve) => machine().after(retryDelay * tries, resolve));
    }
  }
}

async function removeOne(path: string, force: boolean): Promise<void> {
  await call((disk) => {
    if (!force || disk.exists(path)) disk.unlink(path);
  });
}

async function removeTree(path: string, force: boolean): Promise<void> {
  const found = await call((disk) => {
    if (force && !disk.exists(path)) return "nothing";
    return disk.stat(path, "lstat").isDirectory ? disk.readdir(path) : "file";
  });
  if (found === "nothing") return;
  if (found === "file") return await removeOne(path, force);
  for (const name of found) await removeTree(`${path}/${name}`, true);
  await call((disk) => {
    if (!force || disk.exists(path)) disk.rmdir(path);
  });
}
