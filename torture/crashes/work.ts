/**
 * The work of the torture's models: what they must make of an input, made by them and once more by the checker;
 * and the mark that each run leaves outside the data directory, where no fault of the server's can undo it.
 */
import { createCipheriv, createHash } from "node:crypto";
import { appendFileSync } from "node:fs";

/** Environment variable with the file that takes the marks. */
export const MARKS = "TORTURE_MARKS";

/** One run: which process began it, and whether it came to its end. */
export interface Mark {
  readonly what: "began" | "ended";
  readonly nonce: string;
  /** Of the request; `-` where the run does not know it. */
  readonly id: string;
  /** Number of the lease, 0 where the run does not know it. */
  readonly attempt: number;
  /** New for every run. */
  readonly run: string;
  readonly pid: number;
  /** Process of the server that started it. */
  readonly server: number;
  readonly at: number;
}

/** Which run of what: it goes into the output, so that one can tell whose work an outcome is. */
export interface RunOf {
  readonly nonce: string;
  readonly id: string;
  readonly attempt: number;
  readonly run: string;
}

/** Notes that a run begins and answers which it is. `path` is of a file of its attempt: it lies in `<id>/<attempt>/`. */
export function begin(nonce: string, path?: string): RunOf {
  const [attempt = "0", id = "-"] = path === undefined ? [] : path.split("/").toReversed().slice(1, 3);
  const run = { nonce, id, attempt: Number(attempt), run: `${process.pid}-${performance.now()}` };
  mark("began", run);
  return run;
}

export function end(run: RunOf): void {
  mark("ended", run);
}

/** One line, in one write behind what is there (O_APPEND): no process disturbs another's. */
function mark(what: Mark["what"], { nonce, id, attempt, run }: RunOf): void {
  const line = [what, nonce, id, attempt, run, process.pid, process.ppid, Date.now()].join(" ");
  appendFileSync(process.env[MARKS]!, `${line}\n`);
}

export function readMark(line: string): Mark {
  const [what, nonce, id, attempt, run, pid, server, at] = line.split(" ") as [Mark["what"], ...string[]];
  return {
    what,
    nonce: nonce!,
    id: id!,
    attempt: Number(attempt),
    run: run!,
    pid: Number(pid),
    server: Number(server),
    at: Number(at),
  };
}

/** As many bytes as are asked for, always the same of one seed. */
export function bytesOf(seed: string, size: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function digest(data: string | Uint8Array): string {
  return createHash("sha1").update(data).digest("hex");
}

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");

/** Bytes that pass for a picture: those of a PNG up to where its pixels begin (PNG specification, section 5). */
export function picture(seed: string, size: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(size);
  return Buffer.concat([SIGNATURE, length, Buffer.from("IDAT"), bytesOf(seed, size)]);
}

/** What the output is made of: `material` is what the model read of its input, or a digest of it. */
export interface Work {
  readonly nonce: string;
  readonly size: number;
  readonly material: string;
}

/** The text made of `work`: a line that tells its run, and a body that depends on the work alone. */
export function textOf(work: Work, run: RunOf): string {
  return `${runLine(run)}\n${body(work).toString("base64")}`;
}

/** One picture of several. */
export function pictureOf(work: Work, index: number, run: RunOf): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from(`${runLine(run)}\n`), body(work, index)]);
}

function body({ nonce, size, material }: Work, index = 0): Buffer {
  return bytesOf(`${nonce} ${material} ${index}`, size);
}

function runLine({ nonce, id, attempt, run }: RunOf): string {
  return `${nonce} ${id} ${attempt} ${run}`;
}

/** Which run made `output`, or null where that is not what any run makes of `work`. */
export function makerOf(output: Buffer, work: Work, index: number | null = null): RunOf | null {
  const start = index === null ? 0 : SIGNATURE.length;
  const line = output.indexOf("\n", start);
  const [nonce = "", id = "", attempt = "", name = ""] = output.toString("latin1", start, line).split(" ");
  const run = { nonce, id, attempt: Number(attempt), run: name };
  const expected = index === null ? Buffer.from(textOf(work, run)) : pictureOf(work, index, run);
  return nonce === work.nonce && output.equals(expected) ? run : null;
}
