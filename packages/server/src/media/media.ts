/** What media are: which properties of an input hold them, how they are stored, what their bytes are. */
import { fileTypeFromBuffer } from "file-type";
import { InferqError } from "../core/errors.ts";
import type { JsonSchema } from "../model/model.ts";

/** A property of an input that holds media. */
export interface MediaField {
  /** Media type or range it takes, such as "image/*". */
  readonly accept: string;
  /** Whether it holds a list of media. */
  readonly list: boolean;
}

/** A media value in a stored input. */
export interface StoredMedia {
  readonly $media:
    | { readonly key: string; readonly contentType: string; readonly size: number }
    /** Fetched by the worker. */
    | { readonly url: string };
}

/** Asked for with every submit and every run. */
const fieldsOfSchemas = new WeakMap<JsonSchema, ReadonlyMap<string, MediaField>>();

/** The media properties of a model's input schema: those with `contentMediaType`, themselves or in their `items`. */
export function mediaFields(schema: JsonSchema): ReadonlyMap<string, MediaField> {
  const known = fieldsOfSchemas.get(schema);
  if (known !== undefined) return known;
  const fields = new Map<string, MediaField>();
  fieldsOfSchemas.set(schema, fields);
  for (const [name, property] of Object.entries(asObject(schema["properties"]))) {
    const own = asObject(property)["contentMediaType"];
    const items = asObject(asObject(property)["items"])["contentMediaType"];
    if (typeof own === "string") fields.set(name, { accept: own, list: false });
    else if (typeof items === "string") fields.set(name, { accept: items, list: true });
  }
  return fields;
}

/**
 * Replaces every media value of `input` by what `replace` answers, one after the other, so that only
 * one is in memory at a time. `field` is its name for people: `image`, `image_input[1]`. Answers the
 * same object where there is none.
 */
export async function mapMedia(
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  replace: (value: unknown, field: string, accept: string) => Promise<unknown>,
): Promise<Readonly<Record<string, unknown>>> {
  const present = [...mediaFields(schema)].filter(([name]) => input[name] !== undefined);
  if (present.length === 0) return input;
  const replaced = { ...input };
  for (const [name, { accept, list }] of present) {
    const value = input[name];
    if (!list) replaced[name] = await replace(value, name, accept);
    else if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const [index, item] of value.entries()) items.push(await replace(item, `${name}[${index}]`, accept));
      replaced[name] = items;
    }
  }
  return replaced;
}

/** How many of its first bytes tell what a file is. */
export const SNIFFED_BYTES = 16_384;

/** The media type of a file that begins with `head`; `application/octet-stream` if it cannot be told. */
export async function sniff(head: Uint8Array): Promise<string> {
  const text = textOf(head);
  if (text !== undefined) return sniffText(text);
  const found = await fileTypeFromBuffer(head.subarray(0, SNIFFED_BYTES));
  if (found !== undefined) return found.mime;
  return isTiff(head) ? "image/tiff" : "application/octet-stream";
}

/** A TIFF's first directory, where file-type looks, may lie at its end, behind all its pixels (TIFF 6.0, section 2). */
function isTiff(head: Uint8Array): boolean {
  const mark = Buffer.from(head.subarray(0, 4)).toString("latin1");
  return mark === "II*\0" || mark === "MM\0*";
}

/** Throws `invalid_input` unless `contentType` is what the field takes. */
export function checkType(field: string, accept: string, contentType: string): void {
  if (accepts(accept, contentType)) return;
  const came = contentType === "application/octet-stream" ? "data of no known type" : contentType;
  // Without these words an SVG reads as if it were what is wanted.
  const wanted = accept.split(",").join(" or ") + (contentType === "image/svg+xml" ? " (SVG is not taken)" : "");
  throw new InferqError("invalid_input", { detail: `${field} must be ${wanted}, got ${came}.` });
}

/**
 * Whether a field that takes `accept` takes `contentType`. SVG is a document that can name other
 * files, so `image/*` does not mean it: a model that wants it says `image/svg+xml`.
 */
function accepts(accept: string, contentType: string): boolean {
  return accept.split(",").some((part) => {
    const wanted = part.trim().toLowerCase();
    if (wanted === contentType || wanted === "*/*") return true;
    return wanted.endsWith("/*") && contentType !== "image/svg+xml" && contentType.startsWith(wanted.slice(0, -1));
  });
}

/** The bytes as text, if they are UTF-8 without control characters. The last character may be cut off. */
function textOf(head: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head.subarray(0, SNIFFED_BYTES), { stream: true });
    // oxlint-disable-next-line no-control-regex -- control characters are what tells binary data from text
    return text === "" || /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function sniffText(text: string): string {
  // What may stand before the first element: a declaration, comments, a document type, white space.
  const start = text
    .replace(/^(?:\s+|<\?[^]*?\?>|<!--[^]*?-->)+/, "")
    .slice(0, 1_000)
    .toLowerCase();
  if (/^(?:<!doctype\s+svg|<svg[\s>])/.test(start)) return "image/svg+xml";
  if (/^<(?:!doctype\s+html|html|head|body|script|iframe|title|style|table|div|p|a|br|h1)[\s>]/.test(start))
    return "text/html";
  return "text/plain";
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
