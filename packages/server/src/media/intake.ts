import type { BlobSource, BlobStore } from "../blob/blob-store.ts";
import { extensionOf } from "../blob/content-type.ts";
import { newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { JsonSchema } from "../model/model.ts";
import { headOfFile } from "./head.ts";
import { checkType, sniff, SNIFFED_BYTES } from "./media.ts";
import type { StoredMedia } from "./media.ts";
import { mapSources, tooLarge } from "./sources.ts";
import type { SourceContext } from "./sources.ts";

export interface IntakeContext extends SourceContext {
  /** The request's id; its files go under `<id>/0/`. */
  readonly id: string;
  readonly blobs: BlobStore;
  /** Whether the file of this server under `key` has expired, deleted already or not. */
  expired(key: string): Promise<boolean>;
}

export interface Taken {
  /** The input as it is stored: each medium is a `StoredMedia`. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Whether files were written under `<id>/0/`. */
  readonly hasFiles: boolean;
}

/**
 * Takes in the media of a validated input: data URIs, base64, file parts and this server's own files
 * become blobs of the request; other URLs are checked and left to the worker, which fetches them.
 *
 * Rejects with `invalid_input` (the sentence names the field), `media_too_large`, `input_blocked` or
 * `store_unavailable`; then nothing is left under `<id>/0/`.
 */
export async function intake(
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  context: IntakeContext,
): Promise<Taken> {
  let hasFiles = false;
  try {
    const stored = await mapSources(input, schema, context, async (source, field, accept) => {
      if (source instanceof URL) return { $media: { url: source.href } } satisfies StoredMedia;
      const medium = await keep(source, field, accept, context);
      hasFiles = true;
      return medium;
    });
    return { input: stored, hasFiles };
  } catch (error) {
    // What cannot be deleted now the scan deletes; the caller is told what was wrong before.
    await context.blobs.deletePrefix(`${context.id}/0/`).catch(() => undefined);
    throw error;
  }
}

async function keep(source: BlobSource, field: string, accept: string, context: IntakeContext): Promise<StoredMedia> {
  if ("key" in source && (await context.expired(source.key))) throw gone(field);
  const { size, head } = await glance(source, field, context.blobs);
  if (size === 0) throw new InferqError("invalid_input", { detail: `${field} is empty.` });
  if (size > context.limitBytes) throw tooLarge(field, context);
  const contentType = await sniff(head);
  checkType(field, accept, contentType);
  const key = newBlobKey(context.id, 0, extensionOf(contentType));
  try {
    await context.blobs.put(key, source);
  } catch (error) {
    if ("key" in source && (await context.blobs.head(source.key)) === undefined) throw gone(field);
    throw new InferqError("store_unavailable", {}, { cause: error });
  }
  return { $media: { key, contentType, size } };
}

/** Size and first bytes of a source. */
async function glance(
  source: BlobSource,
  field: string,
  blobs: BlobStore,
): Promise<{ size: number; head: Uint8Array }> {
  if ("bytes" in source) return { size: source.bytes.length, head: source.bytes };
  if ("path" in source) return await headOfFile(source.path);
  const [info, body] = await Promise.all([
    blobs.head(source.key),
    blobs.get(source.key, { start: 0, end: SNIFFED_BYTES - 1 }),
  ]);
  if (info === undefined || body === undefined) {
    body?.destroy();
    throw gone(field);
  }
  return { size: info.size, head: Buffer.concat(await body.toArray()) };
}

function gone(field: string): InferqError {
  const detail = `${field} names a file of this server that is not there: files are deleted when their request expires.`;
  return new InferqError("invalid_input", { detail });
}
