/**
 * ffmpeg: which one, and running it so that it cannot outlive its run.
 *
 * @module
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, chmod } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";

export interface Ffmpeg {
  readonly path: string;
  /** As it names itself, e.g. "5.1.9-0+deb12u1". */
  readonly version: string;
  readonly origin: "system" | "packaged";
}

/** What every call of ffmpeg begins with. No single allocation above 512 MB, whatever a file's header says. */
const COMMON = ["-nostdin", "-hide_banner", "-max_alloc", String(2 ** 29)];

/**
 * Address space of one ffmpeg, KB: to write 4K takes 1.3 GB of it. A video of 17 KB can declare tracks of millions of
 * frames each, and room for all their tables is made before the first frame is looked at.
 */
const MOST_KB = 2 * 1024 * 1024;

/** How much of its complaints is kept, characters. */
const STDERR_KEPT = 16_384;

/** The system's ffmpeg where there is one, else the packaged build of 2018. */
export async function findFfmpeg(): Promise<Ffmpeg> {
  const system = await versionOf("ffmpeg");
  return system === undefined ? packagedFfmpeg() : { path: "ffmpeg", version: system, origin: "system" };
}

/** The build in `@ffmpeg-installer/ffmpeg`. */
export async function packagedFfmpeg(): Promise<Ffmpeg> {
  const { path } = createRequire(import.meta.url)("@ffmpeg-installer/ffmpeg") as { path: string };
  // The package's install script sets the bit, but npm may have been told to run no scripts.
  await access(path, constants.X_OK).catch(() => chmod(path, 0o755));
  const version = await versionOf(path);
  if (version === undefined) throw new Error(`the packaged ffmpeg does not run here (${path}); install ffmpeg`);
  return { path, version, origin: "packaged" };
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ["-version"]);
    return /^ffmpeg version (\S+)/.exec(stdout)?.[1] ?? "of unknown version";
  } catch {
    return undefined;
  }
}

/** ffmpeg ended by itself with an exit code other than 0. */
export class FfmpegFailed extends Error {
  /** The last lines that it wrote to stderr. */
  readonly stderr: string;

  constructor(code: number | string, stderr: string) {
    super(`ffmpeg ended with ${code}: ${stderr.trim().split("\n").at(-1) ?? ""}`);
    this.name = "FfmpegFailed";
    this.stderr = stderr;
  }
}

/** With an end to its memory where the system's shell can set one; the shell becomes ffmpeg, and keeps its process id. */
function bounded(path: string, args: readonly string[]): readonly [string, readonly string[]] {
  if (process.platform !== "linux") return [path, args];
  return ["/bin/sh", ["-c", `ulimit -v ${MOST_KB}; exec "$0" "$@"`, path, ...args]];
}

/** A running ffmpeg. When `signal` aborts it is killed; disposing of it kills it and waits until it is gone. */
export class FfmpegProcess implements AsyncDisposable {
  readonly #child: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable; readonly stderr: Readable };
  readonly #closed: Promise<number | string>;
  readonly #signal: AbortSignal;
  /** The `file:` arguments. */
  readonly #files: readonly string[];
  #stderr = "";

  constructor({ path }: Ffmpeg, args: readonly string[], signal: AbortSignal) {
    this.#signal = signal;
    this.#files = args.filter((argument) => argument.startsWith("file:"));
    const [command, all] = bounded(path, [...COMMON, ...args]);
    this.#child = spawn(command, all, { stdio: ["pipe", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
    const { promise, resolve } = Promise.withResolvers<number | string>();
    this.#closed = promise;
    // An abort is an error event too, but the process is gone only when it has closed.
    this.#child.on("error", (error) => {
      if (this.#child.pid === undefined) resolve(error.message);
    });
    this.#child.on("close", (code, signal) => resolve(code ?? signal ?? "no exit code"));
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    // A broken pipe is seen by `write`, and its reason by `ended`.
    this.#child.stdin.on("error", () => undefined);
  }

  get stdout(): Readable {
    return this.#child.stdout;
  }

  /** Resolves when the bytes have been handed over, so that no more than one write waits in memory. */
  async write(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#child.stdin.write(bytes, (error) => (error ? reject(error) : resolve()));
    return promise.catch(async (error: unknown) => {
      await this.ended();
      throw error;
    });
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  /**
   * Resolves with what it wrote to stderr.
   *
   * @throws the signal's reason when it aborted, {FfmpegFailed} when the exit code is not 0.
   */
  async ended(): Promise<string> {
    const code = await this.#closed;
    this.#signal.throwIfAborted();
    if (code !== 0) throw new FfmpegFailed(code, this.#complaints());
    return this.#complaints();
  }

  /** Its stderr without what only its own process knows: addresses in memory, and where files lie on this machine. */
  #complaints(): string {
    const lines = this.#stderr.replace(/^\[[^\]\n]* @ (?:0x)?[0-9a-f]+\] /gm, "");
    return this.#files.reduce((text, file) => text.replaceAll(`${file}: `, "").replaceAll(file, "the file"), lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    this.#child.stdout.destroy();
    await this.#closed;
  }
}
