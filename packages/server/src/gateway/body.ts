/** Bodies in: JSON read strictly, multipart forms as fields and files. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import type { Upload } from "../media/intake.ts";

/** Deeper than any model's input, and far from what recursion cannot bear. */
const MAX_DEPTH = 64;

/** Throws `wrong_content_type` unless the body is announced as JSON or a form. */
export function checkContentType(request: FastifyRequest): void {
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
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
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

/** Read by the parser that Node's `fetch` has. A field that comes several times, or whose name ends in `[]`, is a list. */
async function parseForm(body: Buffer, contentType: string): Promise<Form> {
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
      const standIn = `multipart:${form.uploads.size}`; // no media value looks like this
      form.uploads.set(standIn, { bytes: await value.bytes() });
      add(form.fields, name, standIn);
    }
  }
  return form;
}

function add(fields: Record<string, unknown>, name: string, value: unknown): void {
  const isList = name.endsWith("[]");
  const field = isList ? name.slice(0, -2) : name;
  const present = fields[field];
  if (Array.isArray(present)) present.push(value);
  else if (present !== undefined) fields[field] = [present, value];
  else fields[field] = isList ? [value] : value;
}
