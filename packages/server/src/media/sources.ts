/** Where the media of an input come from, in all the forms that a client may give them. */
import type { BlobSource } from "../blob/blob-store.ts";
import { isBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { JsonSchema } from "../model/model.ts";
import type { AllowPrivate } from "../net/address.ts";
import { judgeUrl } from "../net/guard.ts";
import { mapMedia, mediaFields } from "./media.ts";
import { decodeBase64, decodeDataUri } from "./text-forms.ts";

/** Media of one input, all its lists together: each is a file to write or to fetch. */
const MAX_MEDIA = 100;

/** Longer ones are no URLs that anybody serves; they would come back whole in sentences and logs. */
const MAX_URL_LENGTH = 8_192;

/** A file part of a multipart body. The file at `path` is moved away when it is taken in. */
export type Upload = { readonly bytes: Uint8Array } | { readonly path: string; readonly size: number };

export interface SourceContext {
  /** File parts, each under the text that stands for it in the input. */
  readonly uploads: ReadonlyMap<string, Upload>;
  /** Most bytes that one medium may have. */
  readonly limitBytes: number;
  /** URLs before `/files/<key>` that mean this server: see `ownBases`. */
  readonly ownBases: readonly string[];
  /** Judges the addresses in URLs at once; names are judged when they are fetched. */
  readonly allowPrivate: AllowPrivate;
}

/** The bases under which a client may name this server's own files: as it reached it, as it is published, and on this machine. */
export function ownBases(publicBase: string, publicUrl: string | undefined, port: number): string[] {
  const loopback = ["127.0.0.1", "localhost", "[::1]"].map((host) => `http://${host}:${port}`);
  return [publicBase, ...(publicUrl === undefined ? [] : [publicUrl]), ...loopback].map((base) =>
    base.replace(/\/+$/, ""),
  );
}

/**
 * Replaces every medium of a validated input by what `replace` makes of its source: bytes, a blob of this
 * server's own, or the URL of something that lies elsewhere. `field` is its name for people. Rejects with
 * `invalid_input`, `media_too_large` or `input_blocked` where a value names none.
 */
export async function mapSources(
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  context: SourceContext,
  replace: (source: BlobSource | URL, field: string, accept: string) => Promise<unknown>,
): Promise<Readonly<Record<string, unknown>>> {
  checkCount(input, schema);
  const uploads = new Map<unknown, Upload>(context.uploads);
  return await mapMedia(input, schema, async (value, field, accept) => {
    const source = uploads.get(value) ?? sourceOf(value, field, context);
    uploads.delete(value); // its file may be moved away
    return await replace(source, field, accept);
  });
}

/** Before any is taken in: each costs the disk an fsync or two. Throws `invalid_input`. */
function checkCount(input: Readonly<Record<string, unknown>>, schema: JsonSchema): void {
  let left = MAX_MEDIA;
  for (const [name, { list }] of mediaFields(schema)) {
    const value = input[name];
    const isList = list && Array.isArray(value);
    const count = isList ? value.length : value === undefined ? 0 : 1;
    if (count > left) {
      const field = isList ? `${name}[${left}]` : name;
      const detail = `${field} is one file too many: a request may have at most ${MAX_MEDIA}.`;
      throw new InferqError("invalid_input", { detail });
    }
    left -= count;
  }
}

function sourceOf(value: unknown, field: string, context: SourceContext): BlobSource | URL {
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

function urlOf(value: string, field: string, context: SourceContext): BlobSource | URL {
  if (value.length > MAX_URL_LENGTH) {
    const detail = `${field} is a URL of ${value.length} characters; at most ${MAX_URL_LENGTH} are taken.`;
    throw new InferqError("invalid_input", { detail });
  }
  const url = URL.parse(value);
  if (url === null)
    throw new InferqError("invalid_input", { detail: `${field} is not a valid URL: ${glimpse(value)}.` });
  const key = ownKey(url, context.ownBases);
  if (key !== undefined) return { key };
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

export function tooLarge(field: string, context: Pick<SourceContext, "limitBytes">): InferqError {
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
