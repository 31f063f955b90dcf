/** Bodies in: JSON read strictly, multipart forms as fields and files. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { randomToken } from "../core/ids.ts";
import type { Upload } from "../media/sources.ts";
import { mediaFields } from "../media/media.ts";
import { isSchema } from "../model/coerce.ts";
import type { JsonSchema } from "../model/model.ts";

/** Deeper than any model's input, and far from what recursion cannot bear. */
const MAX_DEPTH = 64;
/**
 * Values in one JSON body. A few bytes each in the text, they take twenty times that in memory, and nobody
 * else is served while they are made: sixty megabytes of `{},` took minutes and gigabytes.
 */
const MAX_VALUES = 250_000;
/** Parts of one form, for the same reason. */
const MAX_PARTS = 1_000;
/** Headers of one part, bytes; the parser would read sixty megabytes of them line by line, and nobody else be served. */
const MAX_PART_HEAD = 16 * 1024;

/** Throws `wrong_content_type` or `wrong_content_encoding` unless the body is announced as plain JSON or a plain form. */
export function checkContentType(request: FastifyRequest): void {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new InferqError("wrong_content_encoding", { got: encoding });
  }
  const header = request.headers["content-type"];
  if (header === "application/json") return;
  const type = header?.split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/json" || type === "multipart/form-data") return;
  throw new InferqError("wrong_content_type", { got: header === undefined || header === "" ? "none" : header });
}

/** Makes `app` read JSON and forms. What is no such thing is refused with `malformed_json` or `malformed_multipart`. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("multipart/form-data", { parseAs: "buffer" }, (request: FastifyRequest, body: Buffer) =>
    parseForm(body, request.headers["content-type"] ?? ""),
  );
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, parseJson(body as Buffer));
    } catch (error) {
      done(error as InferqError, undefined);
    }
  });
}

/** Strictly: UTF-8 alone, and not too deep. Throws `malformed_json`. */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw new InferqError("malformed_json", { detail: "it is empty" });
  if (!isUtf8(body)) throw new InferqError("malformed_json", { detail: "it is not UTF-8" });
  if (body.length > MAX_VALUES) checkValues(body); // a shorter one cannot hold so many
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8").replace(/^\ufeff/, "")); // some editors put it there (RFC 8259 §8.1)
  } catch (error) {
    throw new InferqError("malformed_json", { detail: shortened((error as SyntaxError).message) });
  }
  checkDepth(value, MAX_DEPTH);
  return value;
}

/** V8's sentences quote the text around the fault, which is the client's own; only its length is bounded here. */
function shortened(message: string): string {
  return message.length > 200 ? `${message.slice(0, 200).toWellFormed()}…` : message;
}

/** Throws `malformed_json` when there are more than `MAX_VALUES`: each opens a list or an object, or follows a comma. */
function checkValues(body: Buffer): void {
  let values = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if ((byte === 0x2c || byte === 0x5b || byte === 0x7b) && ++values > MAX_VALUES) {
      throw new InferqError("malformed_json", { detail: `it has more than ${MAX_VALUES} values` });
    }
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Strings up to here are read byte by byte, as a call costs more; a photo in base64 is crossed by the native search. */
const SHORT_STRING = 256;

/** Where the string that opens at `start` closes. */
function endOfString(body: Buffer, start: number): number {
  let short = start + SHORT_STRING;
  for (let at = start + 1; at < body.length; at += 1) {
    if (at >= short) {
      const quote = body.indexOf(QUOTE, at);
      if (quote === -1) break;
      let before = quote;
      while (body[before - 1] === BACKSLASH) before -= 1;
      at = quote - ((quote - before) % 2); // an escaped quote is come to by its backslash
      short = at + SHORT_STRING;
    }
    if (body[at] === BACKSLASH) at += 1;
    else if (body[at] === QUOTE) return at;
  }
  return body.length;
}

/** Throws `malformed_json` when lists and objects are nested more than `left` deep. */
function checkDepth(value: unknown, left: number): void {
  if (typeof value !== "object" || value === null) return;
  if (left === 0) throw new InferqError("malformed_json", { detail: `it is nested deeper than ${MAX_DEPTH}` });
  if (Array.isArray(value)) {
    for (const child of value) checkDepth(child, left - 1);
  } else {
    // What JSON.parse makes has own fields only, and an array of them need not be made for every submit.
    for (const name in value) checkDepth((value as Record<string, unknown>)[name], left - 1);
  }
}

/** The fields of a body. Where a file was sent stands the name under which `uploads` has it. */
export class Form {
  readonly fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  readonly uploads: Map<string, Upload> = new Map();
}

const NO_UPLOADS: ReadonlyMap<string, Upload> = new Map();

/** What a submit's body says, whichever form it has. Throws `invalid_input` when JSON is not an object. */
export function fieldsOf(body: unknown): Pick<Form, "fields"> & { readonly uploads: ReadonlyMap<string, Upload> } {
  if (body instanceof Form) return body;
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    const got = body === null ? "null" : Array.isArray(body) ? "a list" : `a ${typeof body}`;
    throw new InferqError("invalid_input", { detail: `The body must be a JSON object, got ${got}.` });
  }
  return { fields: body as Record<string, unknown>, uploads: NO_UPLOADS };
}

/**
 * Makes of a form's fields what `schema` asks for. A form has no lists: a single value stands for a list of
 * one. A file is its text where the model takes no media. Throws `invalid_input` where it is none.
 */
export function fitForm({ fields, uploads }: Form, schema: JsonSchema): void {
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  const media = mediaFields(schema);
  const asText = (name: string, value: unknown): unknown => {
    const upload = uploads.get(value as string);
    return upload === undefined || media.has(name) ? value : textOf(name, upload);
  };
  for (const [name, property] of Object.entries(properties)) {
    const value = fields[name];
    if (value === undefined) continue;
    if (Array.isArray(value)) fields[name] = value.map((item) => asText(name, item));
    else if (isSchema(property) && property["type"] === "array") fields[name] = [asText(name, value)];
    else fields[name] = asText(name, value);
  }
}

function textOf(name: string, upload: Upload): string {
  if ("bytes" in upload && isUtf8(upload.bytes)) return new TextDecoder().decode(upload.bytes); // without its BOM
  throw new InferqError("invalid_input", { detail: `${name} must be text, got a file that is not text in UTF-8.` });
}

/** Read by the parser that Node's `fetch` has. A field that comes several times, or whose name ends in `[]`, is a list. */
async function parseForm(body: Buffer, contentType: string): Promise<Form> {
  checkParts(body, contentType);
  let data: FormData;
  try {
    data = await new Response(body, { headers: { "content-type": contentType } }).formData();
  } catch {
    throw new InferqError("malformed_multipart", { detail: "its parts cannot be told apart" });
  }
  const form = new Form();
  for (const [name, value] of data) {
    if (typeof value === "string") {
      add(form.fields, name, value);
    } else {
      const standIn = `multipart:${randomToken()}`; // no value that a client sends is this
      form.uploads.set(standIn, { bytes: await value.bytes() });
      add(form.fields, name, standIn);
    }
  }
  return form;
}

/**
 * Throws `malformed_multipart` when there are more than `MAX_PARTS`, or one has more than `MAX_PART_HEAD` of headers.
 * Without a boundary the parser refuses the form itself.
 */
function checkParts(body: Buffer, contentType: string): void {
  const found = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
  if (found === null) return;
  const delimiter = Buffer.from(`--${found[1] ?? found[2]!}`, "latin1");
  let parts = -1; // the last delimiter ends the form
  for (let at = body.indexOf(delimiter); at !== -1; at = body.indexOf(delimiter, at + delimiter.length)) {
    if (++parts > MAX_PARTS) {
      throw new InferqError("malformed_multipart", { detail: `it has more than ${MAX_PARTS} parts` });
    }
    const head = at + delimiter.length;
    const begins = (at === 0 || body[at - 1] === LINE_FEED) && body[head] === CARRIAGE_RETURN;
    if (begins && body.length - head > MAX_PART_HEAD && !body.subarray(head, head + MAX_PART_HEAD).includes(HEAD_END)) {
      const detail = `the headers of a part are larger than ${MAX_PART_HEAD} bytes`;
      throw new InferqError("malformed_multipart", { detail });
    }
  }
}

const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;
const HEAD_END = "\r\n\r\n";

function add(fields: Record<string, unknown>, name: string, value: unknown): void {
  const isList = name.endsWith("[]");
  const field = isList ? name.slice(0, -2) : name;
  const present = fields[field];
  if (Array.isArray(present)) present.push(value);
  else if (present !== undefined) fields[field] = [present, value];
  else fields[field] = isList ? [value] : value;
}
