/**
 * The shim (shim.c): its making, and the file through which this process and those that have it loaded
 * talk. A server so started believes that it writes to a disk; every change of it is in the log, and the
 * disk is as slow, full or broken as is said here, from one moment to the next.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { constants, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const SOURCE = fileURLToPath(new URL("shim.c", import.meta.url));
const run = promisify(execFile);

/** As in shim.c. */
const CONTROL_BYTES = 4_096;
const NUMBERS = {
  end: 0,
  lies: 1,
  syncLeastUs: 2,
  syncMostUs: 3,
  isBounded: 4,
  room: 5,
  writeErrno: 6,
  syncErrno: 7,
  nameErrno: 8,
  syncs: 9,
  overflowed: 10,
} as const;

/** The log's greatest length, bytes; what is not written takes no place. */
const LOG_BYTES = 2 ** 30;

/** What is wrong with the disk; what is not named is well. */
export interface Trouble {
  /** Every fsync answers well and does nothing. */
  readonly lies?: boolean;
  /** How long an fsync takes, ms: evenly between the two. */
  readonly syncMs?: readonly [least: number, most: number];
  /** How many more bytes can be written before ENOSPC. */
  readonly room?: number;
  /** What writing, fsyncing, and making or changing names fails with. */
  readonly write?: Errno;
  readonly sync?: Errno;
  readonly name?: Errno;
}

type Errno = "EIO" | "ENOSPC" | "EROFS" | "EDQUOT";

/** Why there can be no shim here; undefined where there can. */
export async function whyNoShim(): Promise<string | undefined> {
  if (process.platform !== "linux") return "Linux alone loads a library before libc";
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  if (header.glibcVersionRuntime === undefined) return "the shim is made for glibc";
  try {
    await run("cc", ["--version"]);
  } catch {
    return "there is no C compiler (cc)";
  }
  return undefined;
}

/** Compiles the shim, unless that was done before, and answers its path. */
export async function shim(): Promise<string> {
  const source = await readFile(SOURCE);
  const name = createHash("sha256").update(source).digest("hex").slice(0, 16);
  const directory = join(tmpdir(), `inferq-shim-${userInfo().uid}`);
  const path = join(directory, `${name}.so`);
  if (existsSync(path)) return path;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  await run("cc", ["-shared", "-fPIC", "-O2", "-o", fresh, SOURCE, "-ldl", "-lpthread"]);
  await rename(fresh, path); // several processes may do the same
  return path;
}

/** The disk that some processes are made to believe in: the files below one directory. */
export class ShimmedDisk implements Disposable {
  /** With it a process and all that it starts write to this disk. */
  readonly env: Readonly<Record<string, string>>;
  readonly #path: string;
  readonly #fd: number;

  /** `root`: the directory, absolute, without symbolic links. `path`: the shared file, elsewhere; made anew. `log` false: nothing is written down, and fsyncs are done. */
  constructor(library: string, root: string, path: string, { log = true }: { readonly log?: boolean } = {}) {
    this.#path = path;
    rmSync(path, { force: true });
    this.#fd = openSync(path, "wx+", 0o600);
    ftruncateSync(this.#fd, CONTROL_BYTES + (log ? LOG_BYTES : 0));
    this.env = { LD_PRELOAD: library, POWER_ROOT: root, POWER_LOG: path, UV_USE_IO_URING: "0" };
  }

  /** How far the log has come: what it holds up to here has happened. */
  get position(): number {
    return this.#read(NUMBERS.end);
  }

  /** Fsyncs that were asked for. */
  get syncs(): number {
    return this.#read(NUMBERS.syncs);
  }

  /** From now on the disk has this trouble and no other. */
  set trouble({ lies = false, syncMs = [0, 0], room, write, sync, name }: Trouble) {
    this.#write(NUMBERS.room, room ?? 0);
    this.#write(NUMBERS.isBounded, room === undefined ? 0 : 1);
    this.#write(NUMBERS.lies, lies ? 1 : 0);
    this.#write(NUMBERS.syncLeastUs, syncMs[0] * 1_000);
    this.#write(NUMBERS.syncMostUs, syncMs[1] * 1_000);
    this.#write(NUMBERS.writeErrno, errno(write));
    this.#write(NUMBERS.syncErrno, errno(sync));
    this.#write(NUMBERS.nameErrno, errno(name));
  }

  /** The log as it is now. */
  log(): Buffer {
    if (this.#read(NUMBERS.overflowed) > 0)
      throw new Error(`More was written than the log of ${LOG_BYTES} bytes holds.`);
    const bytes = Buffer.allocUnsafeSlow(this.position);
    for (let at = 0; at < bytes.length;) {
      at += readSync(this.#fd, bytes, at, Math.min(bytes.length - at, 2 ** 26), CONTROL_BYTES + at);
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }

  #read(number: number): number {
    const bytes = new BigUint64Array(1);
    readSync(this.#fd, bytes, 0, 8, number * 8);
    return Number(bytes[0]);
  }

  #write(number: number, value: number): void {
    writeSync(this.#fd, BigUint64Array.of(BigInt(Math.round(value))), 0, 8, number * 8);
  }
}

function errno(name: Errno | undefined): number {
  return name === undefined ? 0 : constants.errno[name];
}
