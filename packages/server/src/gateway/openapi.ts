/** `GET /openapi.json`: the API as an OpenAPI 3.1 document, with a path and an input schema for each model served. */
import type { Catalog, CatalogEntry } from "../model/catalog.ts";
import type { JsonSchema } from "../model/model.ts";
import { EVENT_SECURITY, LINKS } from "./openapi-events.ts";
import { LIMIT_RESPONSES, RATE_LIMIT, withLimits } from "./openapi-limits.ts";
import type { Json } from "./openapi-parts.ts";
import { PATHS, RESPONSES, SCHEMAS } from "./openapi-paths.ts";
import { PARAMETERS, REPLAYED, SUBMIT_PARAMETERS } from "./openapi-submit.ts";
import { GRANTED, WAIT_COMPONENTS, WAIT_PARAMETERS } from "./openapi-wait.ts";
import { WEBHOOK_COMPONENTS, WEBHOOK_PARAMETERS, WEBHOOKS } from "./openapi-webhooks.ts";

/** Where a path stands in the document: the ones that run a model first. */
export const TAGS: readonly { readonly name: string; readonly description: string }[] = [
  { name: "Models", description: "Run a model: queued (V2), or waiting for the output (V1)." },
  { name: "Requests", description: "What became of a request." },
  { name: "Webhooks", description: "Be told of an outcome, instead of asking for it." },
  { name: "Files", description: "Files in and out." },
  { name: "Server", description: "What is served, and how the server does." },
];

/** The document for a server that callers reach under `base`. */
export function openapi(models: Catalog, base: string): Json {
  const ofModels: Record<string, Json> = {};
  for (const entry of models.entries) {
    ofModels[`/v2/${entry.definition.name}`] = { post: submitOperation(entry, entry.definition.name) };
    for (const { name, standIn } of entry.aliases) {
      ofModels[`/v2/${name}`] = { post: submitOperation(entry, name, standIn) };
    }
  }
  for (const entry of models.entries) {
    ofModels[`/v1/${entry.definition.name}`] = { post: syncOperation(entry, entry.definition.name) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "inferq",
      version: "2",
      summary: "Async inference: submit a request, poll its status, fetch the result.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: base }],
    security: [{ apiKey: [] }, { bearer: [] }],
    tags: TAGS,
    paths: withLimits({ ...ofModels, ...PATHS }),
    webhooks: WEBHOOKS,
    components: {
      securitySchemes: {
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
        bearer: { type: "http", scheme: "bearer" },
        ...EVENT_SECURITY,
      },
      schemas: SCHEMAS,
      responses: { ...RESPONSES, ...LIMIT_RESPONSES },
      parameters: { ...PARAMETERS, ...WAIT_COMPONENTS, ...WEBHOOK_COMPONENTS },
    },
  };
}

function submitOperation({ definition }: CatalogEntry, name: string, standIn?: string): Json {
  return {
    tags: ["Models"],
    operationId: `submit-${name}`,
    summary: standIn === undefined ? `Queue a request for ${name}` : `Queue a request for ${name} (a stand-in)`,
    description: [standIn, definition.description].filter((text) => text !== undefined).join(" "),
    parameters: [...SUBMIT_PARAMETERS, ...WAIT_PARAMETERS, ...WEBHOOK_PARAMETERS],
    requestBody: inputBody(definition.input),
    responses: {
      "200": {
        description: "Accepted, and durable; with what became of it, if the call waited.",
        headers: { ...LINKS, ...REPLAYED, ...GRANTED, ...RATE_LIMIT },
        content: json("#/components/schemas/Submitted", "#/components/schemas/Waited"),
      },
      ...errors("400", "401", "403", "404", "406", "409", "413", "415", "503"),
      "422": { $ref: "#/components/responses/Failed" },
    },
  };
}

function syncOperation({ definition }: CatalogEntry, name: string): Json {
  const input = definition.input;
  const isText = definition.output === "text";
  const withBase64 = {
    ...input,
    properties: {
      ...(input["properties"] as Json | undefined),
      base64: { type: "boolean", default: false, description: "Answer JSON with the file in base64." },
    },
  };
  return {
    tags: ["Models"],
    operationId: `run-${name}`,
    summary: `Run ${name} and wait for its output`,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    parameters: [...SUBMIT_PARAMETERS, ...WEBHOOK_PARAMETERS],
    requestBody: inputBody(isText ? input : withBase64),
    responses: {
      "200": {
        description: isText ? "The text." : "The file itself, or JSON with the file in base64.",
        headers: {
          ...header("x-request-id", "x-generation-time", "x-remaining-credits", "x-cost"),
          ...REPLAYED,
          ...RATE_LIMIT,
        },
        content: isText
          ? json("#/components/schemas/TextResult")
          : { [`${definition.output}/*`]: {}, "application/json": { schema: base64Schema(definition.output) } },
      },
      ...errors("400", "401", "403", "404", "406", "409", "413", "415", "500", "503", "504"),
    },
  };
}

/** The answer to `"base64": true`. */
function base64Schema(kind: string): Json {
  const properties = {
    [kind]: { type: "string", contentEncoding: "base64" },
    status: { const: "COMPLETED" },
    content_type: { type: "string" },
  };
  return { type: "object", properties, required: Object.keys(properties) };
}

/** JSON for anybody, a form for those who send files; its media fields are then files. */
function inputBody(schema: JsonSchema): Json {
  return { required: true, content: { "application/json": { schema }, "multipart/form-data": { schema } } };
}

function header(...names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, { schema: { type: "string" } }]));
}

function json(...refs: readonly string[]): Json {
  const schemas = refs.map((ref) => ({ $ref: ref }));
  return { "application/json": { schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas } } };
}

function errors(...codes: readonly string[]): Json {
  return Object.fromEntries(codes.map((code) => [code, { $ref: "#/components/responses/Error" }]));
}
