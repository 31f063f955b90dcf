import type { BlobSource, BlobStore } from "../blob/blob-store.ts";
import { extensionOf } from "../blob/content-type.ts";
import { isBlobKey, keyTime, newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { JsonSchema } from "../model/model.ts";
import type { AllowPrivate } from "../net/address.ts";
import { judgeUrl } from "../net/guard.ts";
import { headOfFile } from "./head.ts";
import { checkType, mapMedia, sniff, SNIFFED_BYTES } from "./media.ts";
import type { StoredMedia } from "./media.ts";
import { decodeBase64, decodeDataUri } from "./text-forms.ts";

/** Media of one input, all its lists together: each is a file to write or to fetch. */
const MAX_MEDIA = 100;

/** Longer ones are no URLs that anybody serves; they would come back whole in sentences and logs. */
const MAX_URL_LENGTH = 8_192;

/** A file part of a multipart body. The file at `path` is moved away when it is taken in. */
export type Upload = { readonly bytes: Uint8Array } | { readonly path: string; readonly size: number };

export interface IntakeContext {
  /** The request's id; its files go under `<id>/0/`. */
  readonly id: string;
  readonly blobs: BlobStore;
  /** Most bytes that one medium may have. */
  readonly limitBytes: number;
  /** File parts, each under the text that stands for it in the input. */
  readonly uploads: ReadonlyMap<string, Upload>;
  /** URLs before `/files/<key>` that mean this server: see `ownBases`. */
  readonly ownBases: readonly string[];
  /** Own files of requests and uploads made before this time (ms) have expired and are gone, deleted already or not. */
  readonly livingSince?: number;
  /** Judges the addresses in URLs at once; names are judged when they are fetched. */
  readonly allowPrivate: AllowPrivate;
}

export interface Taken {
  /** The input as it is stored: each medium is a `StoredMedia`. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Whether files were written under `<id>/0/`. */
  readonly hasFiles: boolean;
}

/** The bases under which a client may name this server's own files: as it reached it, as it is published, and on this machine. */
export function ownBases(publicBase: string, publicUrl: string | undefined, port: number): string[] {
  const loopback = ["127.0.0.1", "localhost", "[::1]"].map((host) => `http://${host}:${port}`);
  return [publicBase, ...(publicUrl === undefined ? [] : [publicUrl]), ...loopback].map((base) =>
    base.replace(/\/+$/, ""),
  );
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
  let count = 0;
  const uploads = new Map<unknown, Upload>(context.uploads);
  try {
    const stored = await mapMedia(input, schema, async (value, field, accept) => {
      count += 1;
      if (count > MAX_MEDIA) {
        const detail = `${field} is one file too many: a request may have at most ${MAX_MEDIA}.`;
        throw new InferqError("invalid_input", { detail });
      }
      const source = uploads.get(value) ?? sourceOf(value, field, context);
      uploads.delete(value); // its file is moved away
      if (source instanceof URL) return { $media: { url: source.href } } satisfies StoredMedia;
      const medium = await keep(source, field, accept, context);
      hasFiles = true;
      return medium;
    });
    return { input: stored, hasFiles };
  } catch (error) {
    await context.blobs.deletePrefix(`${context.id}/0/`);
    throw error;
  }
}

function sourceOf(value: unknown, field: string, context: IntakeContext): BlobSource | URL {
  if (typeof value !== "string" || value === "") throw wrongForm(field, value);
  if (/^data:/i.test(value)) {
    const bytes = decodeDataUri(value, context.limitBytes);
    if (bytes === "too_large") throw tooLarge(field, context);
    if (bytes === undefined)
      throw new InferqError("invalid_input", { detail: `${field} is not a valid data URI: ${glimpse(value)}.` });
    return { bytes };
  }
  if (/^[a-z][a-z0-9+.-]{0,30}:\/\//i.test(value)) return urlOf(value, field, context);
  const bytes = decodeBase64(value, context.limitBytes);
  if (bytes === "too_large") throw tooLarge(field, context);
  if (bytes === undefined) throw wrongForm(field, value);
  return { bytes };
}

function urlOf(value: string, field: string, context: IntakeContext): BlobSource | URL {
  if (value.length > MAX_URL_LENGTH) {
    const detail = `${field} is a URL of ${value.length} characters; at most ${MAX_URL_LENGTH} are taken.`;
    throw new InferqError("invalid_input", { detail });
  }
  const url = URL.parse(value);
  if (url === null)
    throw new InferqError("invalid_input", { detail: `${field} is not a valid URL: ${glimpse(value)}.` });
  const key = ownKey(url, context.ownBases);
  if (key !== undefined) {
    if (keyTime(key) <= (context.livingSince ?? 0)) throw gone(field);
    return { key };
  }
  const refusal = judgeUrl(url, context.allowPrivate);
  if (refusal === undefined) return url;
  if (url.protocol === "http:" || url.protocol === "https:") {
    throw new InferqError("input_blocked", { field, host: url.host, detail: refusal });
  }
  throw new InferqError("invalid_input", { detail: `${field} must be an http or https URL, got ${glimpse(value)}.` });
}

/** The key of the blob that `url` names, if it is one of this server's own. */
function ownKey(url: URL, bases: readonly string[]): string | undefined {
  const plain = url.origin + url.pathname;
  for (const base of bases) {
    const start = `${URL.parse(base)?.href.replace(/\/$/, "") ?? base}/files/`;
    if (plain.startsWith(start) && isBlobKey(plain.slice(start.length))) return plain.slice(start.length);
  }
  return undefined;
}

async function keep(source: BlobSource, field: string, accept: string, context: IntakeContext): Promise<StoredMedia> {
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

function tooLarge(field: string, context: IntakeContext): InferqError {
  return new InferqError("media_too_large", { field, limit: context.limitBytes });
}

function wrongForm(field: string, value: unknown): InferqError {
  return new InferqError("invalid_input", {
    detail: `${field} must be a URL, a data URI or base64, got ${glimpse(value)}.`,
  });
}

/** Enough of a value for its sender to know it by. */
function glimpse(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}
