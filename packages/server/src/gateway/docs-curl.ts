/** The `curl` lines of the API reference: each can be pasted as it is, once `SETTINGS` are filled in. */
import { isSchema } from "../model/coerce.ts";
import type { Json } from "./openapi-parts.ts";

/** One method of one path. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly about: Json;
}

/** What the lines take from the reader's shell. */
export const SETTINGS = `export INFERQ_KEY=sg_…    # printed when the server first started; inferq keys create makes another
export MODEL=…            # a name from /v2/models
export REQUEST_ID=…       # request_id in the answer to a submit
export FILE=…             # what follows /files/ in a URL of a result`;

const PLACES: Readonly<Record<string, string>> = { model: "$MODEL", id: "$REQUEST_ID", path: "$FILE" };

/** A call of `operation` with the fields that `schema`, its body's, requires. */
export function curl({ method, path, about }: Operation, base: string, schema: Json | undefined): string {
  const url = base + path.replace(/\{(\w+)\}/g, (whole, name: string) => PLACES[name] ?? whole);
  const lines = [`curl${method === "GET" ? "" : ` -X ${method}`} "${url}"`];
  if (!Array.isArray(about["security"])) lines.push(`-H "x-api-key: $INFERQ_KEY"`);
  if (schema !== undefined) lines.push(...bodyLines(schema));
  if (answersFile(about)) lines.push("-o output");
  return lines.join(" \\\n  ");
}

/** JSON, or a form when there are files to send: the reader has those, and no URL of them. */
function bodyLines(schema: Json): string[] {
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : [];
  const fields = required.map((name) => [name, isSchema(properties[name]) ? properties[name] : {}] as const);
  if (fields.some(([, field]) => typeof field["contentMediaType"] === "string")) {
    return fields.map(([name, field]) => `-F ${name}=${formValue(field)}`);
  }
  const body = JSON.stringify(Object.fromEntries(fields.map(([name, field]) => [name, valueFor(field)])));
  return [`-H "content-type: application/json"`, `-d ${quoted(body)}`];
}

function formValue(field: Json): string {
  const type = field["contentMediaType"];
  if (typeof type !== "string") return quoted(String(valueFor(field)));
  const kind = type.split("/", 1)[0];
  return { image: "@photo.jpg", video: "@film.mp4", audio: "@sound.wav" }[kind!] ?? "@file";
}

/** The plainest value that a field takes. */
function valueFor(field: Json): unknown {
  if (Array.isArray(field["examples"])) return field["examples"][0] as unknown;
  if (field["default"] !== undefined) return field["default"];
  if (Array.isArray(field["enum"])) return field["enum"][0] as unknown;
  if (field["type"] === "integer" || field["type"] === "number") return field["minimum"] ?? 1;
  if (field["type"] === "boolean") return true;
  if (field["type"] === "array") return [valueFor(isSchema(field["items"]) ? field["items"] : {})];
  return "a red rose on a wooden table";
}

/** Whether the answer is bytes, which curl does not print to a terminal. */
function answersFile(about: Json): boolean {
  const { content } = (about["responses"] as Record<string, { readonly content?: Json }>)["200"] ?? {};
  return Object.keys(content ?? {}).some((type) => type.endsWith("/*"));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
