import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { BlobStore } from "../blob/blob-store.ts";
import { makeDirectory } from "../blob/make-directory.ts";
import { extensionOf } from "../blob/content-type.ts";
import { InferqError } from "../core/errors.ts";
import { randomToken } from "../core/ids.ts";
import type { JsonSchema, MediaFile } from "../model/model.ts";
import { FetchFailure } from "../net/guard.ts";
import type { GuardedFetch } from "../net/guard.ts";
import { headOfFile } from "./head.ts";
import { checkType, mapMedia, sniff } from "./media.ts";
import type { StoredMedia } from "./media.ts";

export interface MaterializeContext {
  /** Directory of the attempt, for what is fetched; made when the first file needs it. */
  readonly directory: string;
  readonly blobs: BlobStore;
  readonly fetcher: GuardedFetch;
  /** Most bytes that one medium may have. */
  readonly limitBytes: number;
  /** Aborts when the attempt must stop; its reason is what this then rejects with. */
  readonly signal: AbortSignal;
}

/**
 * Makes a stored input ready for a run: each medium becomes a `MediaFile`, fetched where it is a URL. Without media it is the same object.
 * Rejects with `input_unreachable`, `input_blocked`, `media_too_large` or `invalid_input`; sentences name the field.
 */
export async function materialize(
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  context: MaterializeContext,
): Promise<Readonly<Record<string, unknown>>> {
  return await mapMedia(input, schema, async (value, field, accept): Promise<MediaFile> => {
    context.signal.throwIfAborted();
    const { $media: medium } = value as StoredMedia;
    if ("url" in medium) return await download(medium.url, field, accept, context);
    const path = await context.blobs.localPath(medium.key);
    if (path === undefined) throw new InferqError("input_unreachable", { field, detail: "its file has been deleted" });
    return { path, contentType: medium.contentType, size: medium.size };
  });
}

async function download(url: string, field: string, accept: string, context: MaterializeContext): Promise<MediaFile> {
  const name = join(context.directory, `input-${randomToken()}`);
  await makeDirectory(context.directory);
  try {
    const body = await context.fetcher(url, { limitBytes: context.limitBytes, signal: context.signal });
    await pipeline(body, createWriteStream(name, { flags: "wx" }));
  } catch (error) {
    throw error instanceof FetchFailure ? inWords(error, field, context) : error;
  }
  const { size, head } = await headOfFile(name);
  if (size === 0) throw new InferqError("input_unreachable", { field, detail: "what came is empty" });
  const contentType = await sniff(head);
  checkType(field, accept, contentType);
  const path = `${name}.${extensionOf(contentType)}`;
  await rename(name, path);
  return { path, contentType, size };
}

function inWords(failure: FetchFailure, field: string, context: MaterializeContext): InferqError {
  const options = { cause: failure };
  if (failure.kind === "too_large")
    return new InferqError("media_too_large", { field, limit: context.limitBytes }, options);
  if (failure.kind === "blocked") {
    return new InferqError("input_blocked", { field, host: failure.host, detail: failure.message }, options);
  }
  return new InferqError("input_unreachable", { field, detail: failure.message }, options);
}
