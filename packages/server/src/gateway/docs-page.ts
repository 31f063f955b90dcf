/**
 * `GET /docs`: the OpenAPI document as a page for people, made here and without any script, so that it
 * works with nothing but this server and nothing in it can run.
 */
import { createHash } from "node:crypto";
import { isSchema } from "../model/coerce.ts";
import { curl, type Operation, SETTINGS } from "./docs-curl.ts";
import { STYLE } from "./docs-style.ts";
import type { Json } from "./openapi-parts.ts";
import { TAGS } from "./openapi.ts";

/** No script at all; the one style sheet by its hash. */
export const DOCS_POLICY: string =
  `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; ` +
  `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The page for `document`, as made by `openapi`. */
export function docsPage(document: Json): string {
  const operations = operationsOf(document);
  const base = String((document["servers"] as Json[])[0]!["url"]);
  const sections = TAGS.map(({ name, description }) => {
    const own = operations.filter(({ about }) => (about["tags"] as string[]).includes(name));
    return `<section><h2>${escape(name)}</h2><p class="lead">${escape(description)}</p>${own
      .map((operation) => card(operation, document, base))
      .join("")}</section>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>inferq API</title><style>${STYLE}</style></head>
<body><nav><a class="brand" href="#top">inferq</a>${TAGS.map(({ name }) => menu(name, operations)).join("")}
<p><a href="/openapi.json">openapi.json</a></p></nav>
<main id="top"><h1>API reference</h1>
<p class="lead">Submit a request, get its id at once, poll its status, fetch the result. Base URL <code>${escape(base)}</code>.</p>
<p>Send your key as <code>x-api-key: KEY</code> or <code>Authorization: Bearer KEY</code>. Bodies are JSON, or a form
(<code>multipart/form-data</code>) with files. Errors are <code>{"error": "…"}</code> with a code in <code>X-Error-Code</code>.
Requests, results and files live for a while only, one hour unless this server was told otherwise: then they answer 404.</p>
<p>The examples take your own values from the shell, and files such as <code>photo.jpg</code> from your directory:</p>
<pre><code>${escape(SETTINGS)}</code></pre>
${sections.join("\n")}</main></body></html>
`;
}

function operationsOf(document: Json): Operation[] {
  const operations: Operation[] = [];
  for (const [path, methods] of Object.entries(document["paths"] as Record<string, Json>)) {
    for (const [method, about] of Object.entries(methods)) {
      operations.push({ method: method.toUpperCase(), path, about: about as Json });
    }
  }
  return operations;
}

function menu(tag: string, operations: readonly Operation[]): string {
  const items = operations
    .filter(({ about }) => (about["tags"] as string[]).includes(tag))
    .map(({ method, path, about }) => `<li><a href="#${anchor(about)}">${badge(method)} ${escape(path)}</a></li>`);
  return `<h3>${escape(tag)}</h3><ul>${items.join("")}</ul>`;
}

function card(operation: Operation, document: Json, base: string): string {
  const { method, path, about } = operation;
  const description = plain(about["description"]);
  const schema = bodySchema(about);
  return (
    `<article id="${anchor(about)}"><h4>${badge(method)} <code>${escape(path)}</code></h4>` +
    `<p>${escape(String(about["summary"]))}.</p>` +
    (description === "" ? "" : `<p class="note">${escape(description)}</p>`) +
    parameterTables(about["parameters"], document) +
    (schema === undefined ? "" : fieldTable("Body", resolve(schema, document))) +
    `<pre><code>${escape(curl(operation, base, schema === undefined ? undefined : resolve(schema, document)))}</code></pre>` +
    answers(about, document) +
    `</article>`
  );
}

/** Headers are folded away: all models have the same. */
function parameterTables(parameters: unknown, document: Json): string {
  if (!Array.isArray(parameters)) return "";
  const all = (parameters as Json[]).map((one) => resolve(one, document));
  const headers = all.filter((one) => one["in"] === "header");
  const others = all.filter((one) => one["in"] !== "header");
  return (
    (others.length === 0 ? "" : parameterTable("Parameter", others)) +
    (headers.length === 0 ? "" : `<details><summary>Headers</summary>${parameterTable("Header", headers)}</details>`)
  );
}

function parameterTable(title: string, parameters: readonly Json[]): string {
  const rows = parameters.map((one) => {
    const type = one["in"] === "header" ? typeText(one["schema"] as Json) : `in the ${plain(one["in"])}`;
    return (
      `<tr><td><code>${escape(plain(one["name"]))}</code></td><td>${escape(type)}</td>` +
      `<td>${escape(plain(one["description"]))}</td></tr>`
    );
  });
  return `<table class="fields"><thead><tr><th>${title}</th><th></th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

function fieldTable(title: string, schema: Json): string {
  const rows = fieldRows(schema, "");
  if (rows.length === 0) return "";
  return `<table class="fields"><thead><tr><th>${title}</th><th>Type</th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** A row for each field, and for the fields of those that are objects: `video.url`, `images[].url`. */
function fieldRows(schema: Json, prefix: string): string[] {
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : [];
  return Object.entries(properties).flatMap(([name, property]) => {
    const field = isSchema(property) ? property : {};
    const mark = required.includes(name) ? ` <span class="must">required</span>` : "";
    const row =
      `<tr><td><code>${escape(prefix + name)}</code>${mark}</td><td>${escape(typeText(field))}</td>` +
      `<td>${escape(plain(field["description"]))}</td></tr>`;
    const inner = isSchema(field["items"]) ? fieldRows(field["items"], `${prefix}${name}[].`) : [];
    return [row, ...fieldRows(field, `${prefix}${name}.`), ...inner];
  });
}

/** "whole number, 1 to 50, default 20". */
function typeText(field: Json): string {
  const parts: string[] = [baseType(field)];
  const { minimum, maximum } = field;
  if (minimum !== undefined && maximum !== undefined) parts.push(`${plain(minimum)} to ${plain(maximum)}`);
  else if (minimum !== undefined) parts.push(`at least ${plain(minimum)}`);
  else if (maximum !== undefined) parts.push(`at most ${plain(maximum)}`);
  if (field["default"] !== undefined) parts.push(`default ${JSON.stringify(field["default"])}`);
  return parts.join(", ");
}

function baseType(field: Json): string {
  if (typeof field["$ref"] === "string") return field["$ref"].split("/").at(-1)!;
  if (typeof field["contentMediaType"] === "string")
    return `${field["contentMediaType"].split(",").join(" or ")}: URL, data URI, base64 or file`;
  if (Array.isArray(field["enum"])) return field["enum"].map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in field) return JSON.stringify(field["const"]);
  if (field["type"] === "array" && isSchema(field["items"])) return `list of ${baseType(field["items"])}`;
  return [field["type"] ?? "any"].flat().map(plain).join(" | ");
}

/** The answers, those that differ in their code alone in one row; then the shapes they have. */
function answers(about: Json, document: Json): string {
  const byRow = new Map<string, string[]>();
  const shapes = new Set<string>();
  const { schemas } = document["components"] as { readonly schemas: Record<string, Json> };
  for (const [code, response] of Object.entries(about["responses"] as Record<string, Json>)) {
    const known = resolve(response, document);
    const names = schemaNames(known);
    for (const name of names) if (name !== "Error") addShape(name, schemas, shapes);
    const shown = names.map((name) => `<code>${escape(name)}</code>`).join("<br>");
    const row = `<td>${escape(plain(known["description"]))}</td><td>${shown}</td>`;
    byRow.set(row, [...(byRow.get(row) ?? []), code]);
  }
  const rows = [...byRow].map(([row, codes]) => `<tr><td>${codes.join(", ")}</td>${row}</tr>`);
  const details = [...shapes].map(
    (name) => `<details><summary>${escape(name)}</summary>${fieldTable("Field", schemas[name] ?? {})}</details>`,
  );
  return (
    `<table class="answers"><thead><tr><th>Answer</th><th></th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table>` +
    details.join("")
  );
}

/** Adds the schema called `name`, and those that it names in turn. */
function addShape(name: string, schemas: Record<string, Json>, shapes: Set<string>): void {
  if (shapes.has(name)) return;
  shapes.add(name);
  for (const [, inner] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    addShape(inner!, schemas, shapes);
  }
}

/** The named schemas that an answer may have. */
function schemaNames(response: Json): string[] {
  const content = isSchema(response["content"]) ? response["content"] : {};
  return Object.values(content).flatMap((media) => {
    const schema = (media as { schema?: Json }).schema ?? {};
    const several = (schema["oneOf"] as Json[] | undefined) ?? [schema];
    return several.flatMap((one) => (typeof one["$ref"] === "string" ? [one["$ref"].split("/").at(-1)!] : []));
  });
}

function bodySchema(about: Json): Json | undefined {
  const body = about["requestBody"] as { content: Record<string, { schema: Json }> } | undefined;
  return body?.content["application/json"]?.schema;
}

/** The piece that a `$ref` names, or the piece itself. */
function resolve(piece: Json, document: Json): Json {
  const ref = piece["$ref"];
  if (typeof ref !== "string") return piece;
  return ref
    .split("/")
    .slice(1)
    .reduce((at, name) => at[name] as Json, document);
}

function anchor(about: Json): string {
  return escape(String(about["operationId"]));
}

function badge(method: string): string {
  return `<b class="${method.toLowerCase()}">${method}</b>`;
}

/** A value of the document as text; nothing for one that is not there. */
function plain(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
