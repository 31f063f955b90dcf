/** A small file system that is this process's own, and a file that takes all the room on it. Linux, in a mount namespace (see run.ts). */
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

const CHUNK_BYTES = 1024 * 1024;
/** What is freed on the disk is taken again so often, ms. */
const TAKE_EVERY_MS = 10;

export class SmallDisk implements Disposable {
  /** Where the server has its data directory. */
  readonly directory: string;
  readonly #ballast: number;
  #size = 0;
  #taking: NodeJS.Timeout | undefined;

  /** Mounts a file system of `megabytes` at `path`, which is made. */
  constructor(path: string, megabytes: number) {
    mkdirSync(path);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "none", path]);
    this.directory = join(path, "data");
    mkdirSync(this.directory);
    this.#ballast = openSync(join(path, "ballast"), "w");
  }

  /** Takes all room to the last byte, and whatever is freed from then on. */
  fill(): void {
    this.#take();
    this.#taking = setInterval(() => this.#take(), TAKE_EVERY_MS);
  }

  /** Gives all of it back. */
  free(): void {
    clearInterval(this.#taking);
    ftruncateSync(this.#ballast, 0);
    this.#size = 0;
  }

  [Symbol.dispose](): void {
    this.free();
    closeSync(this.#ballast);
  }

  #take(): void {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let bytes = CHUNK_BYTES; bytes >= 1;) {
      try {
        const written = writeSync(this.#ballast, chunk, 0, bytes, this.#size);
        this.#size += written;
        if (written < bytes) bytes = Math.floor(bytes / 2);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        bytes = Math.floor(bytes / 2);
      }
    }
  }
}
