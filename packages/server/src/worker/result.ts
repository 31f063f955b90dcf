/** Makes the stored result of a request from what its model answered. */
import { lstat, open } from "node:fs/promises";
import { basename, resolve, sep } from "node:path";
import type { BlobStore } from "../blob/blob-store.ts";
import { contentTypeOf, extensionOf } from "../blob/content-type.ts";
import { newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { Artifact, Modality, Result } from "../core/request.ts";
import { sniff, SNIFFED_BYTES } from "../media/media.ts";
import type { OutputFile } from "../model/model.ts";

/** Longest text kept in the request's row, bytes; a longer one is a file. */
const MAX_ROW_TEXT = 64 * 1024;

export interface ResultContext {
  readonly id: string;
  readonly attempt: number;
  /** What the model makes of this input. */
  readonly kind: Modality;
  readonly input: Readonly<Record<string, unknown>>;
  /** The attempt's directory, where the files must lie. */
  readonly directory: string;
  readonly put: BlobStore["put"];
}

/**
 * Stores the files of `output` and answers the result that names them, all durable. Throws
 * `InferqError` `bad_output` if it is not what a model of this kind answers, and whatever the blob store throws.
 */
export async function storeOutput(output: unknown, context: ResultContext): Promise<Result> {
  const { value, seed, reasoning } = unwrap(output);
  const { kind, input } = context;
  if (kind === "text") {
    if (typeof value !== "string") throw bad(`a text was expected, ${describe(value)} came`);
    return { kind, text: await storeText(value, context), reasoning };
  }
  const files = (Array.isArray(value) ? value : [value]) as unknown[];
  if (files.length === 0 || !files.every(isOutputFile)) throw bad(`a file was expected, ${describe(value)} came`);
  if (kind === "image") {
    const artifacts: Artifact[] = [];
    for (const file of files) artifacts.push(await storeFile(file, context));
    const echo = seed ?? input["seed"];
    return {
      kind,
      files: artifacts,
      ...((typeof echo === "number" || typeof echo === "string") && { seed: String(echo) }),
      ...(typeof input["prompt"] === "string" && { prompt: input["prompt"] }),
    };
  }
  if (files.length > 1) throw bad(`one ${kind} file was expected, ${files.length} files came`);
  return { kind, file: await storeFile(files[0]!, context) };
}

function unwrap(output: unknown): { value: unknown; seed: number | undefined; reasoning: string | null } {
  if (typeof output !== "object" || output === null || !("output" in output)) {
    return { value: output, seed: undefined, reasoning: null };
  }
  const { output: value, seed, reasoning } = output as Record<string, unknown>;
  return {
    value,
    seed: typeof seed === "number" ? seed : undefined,
    reasoning: typeof reasoning === "string" ? reasoning : null,
  };
}

async function storeText(text: string, { id, attempt, put }: ResultContext): Promise<string | Artifact> {
  const size = Buffer.byteLength(text);
  if (size <= MAX_ROW_TEXT) return text;
  const key = newBlobKey(id, attempt, "txt");
  await put(key, { bytes: Buffer.from(text) });
  return { key, contentType: "text/plain; charset=utf-8", size, fileName: "output.txt" };
}

async function storeFile(
  { path }: OutputFile,
  { id, attempt, kind, directory, put }: ResultContext,
): Promise<Artifact> {
  const name = basename(path);
  if (!resolve(path).startsWith(resolve(directory) + sep)) {
    throw bad(`${name} lies outside the attempt's directory; write where file("${name}") says`);
  }
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile()) throw bad(`${name} was not written`);
  if (found.size === 0) throw bad(`${name} is empty`);
  let contentType = contentTypeOf(name);
  if (!contentType.startsWith(`${kind}/`)) contentType = await openable(path, sniffFile(path));
  if (!contentType.startsWith(`${kind}/`)) throw bad(`${name} is ${contentType}, expected ${kind}/*`);
  const key = newBlobKey(id, attempt, extensionOf(contentType));
  const { size } = await openable(path, put(key, { path }));
  return { key, contentType, size, fileName: name };
}

/** What opening a file says when its maker left it so that nobody else can: no fault of this host's, which would hold up other requests. */
const CLOSED_TO_US: ReadonlySet<unknown> = new Set(["EACCES", "EPERM", "ELOOP", "ENOENT", "ENOTDIR"]);

/** Awaits `work` on the model's file at `path`; that this very file cannot be opened is the model's doing. */
async function openable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, syscall, path: failed } = error as NodeJS.ErrnoException;
    if (syscall !== "open" || failed !== path || !CLOSED_TO_US.has(code)) throw error;
    throw bad(`${basename(path)} cannot be opened (${code})`);
  }
}

async function sniffFile(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFFED_BYTES), 0, SNIFFED_BYTES, 0);
  return await sniff(buffer.subarray(0, bytesRead));
}

function isOutputFile(value: unknown): value is OutputFile {
  return typeof value === "object" && value !== null && "path" in value && typeof value.path === "string";
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list of other things";
  return value === undefined || value === null ? "nothing" : `a value of type ${typeof value}`;
}

function bad(detail: string): InferqError {
  return new InferqError("bad_output", { detail });
}
