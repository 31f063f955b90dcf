/** The part of the OpenAPI document that is the same on every server. */
import { DEAD_LETTER_PATHS, DEAD_LETTER_SCHEMAS } from "./openapi-dead-letters.ts";
import { EVENT_PATHS } from "./openapi-events.ts";
import { DELETE, OWN_PATHS, OWN_SCHEMAS } from "./openapi-own.ts";
import { CONFLICT, ERROR, FAILED, ID, NOT_FOUND, object, ok, ref, STRING, URL, type Json } from "./openapi-parts.ts";
import { PARTIAL, PARTIAL_TEXT } from "./openapi-partial.ts";
import { GRANTED, WAIT_PARAMETERS, WAITED } from "./openapi-wait.ts";
import { WEBHOOK_PATHS, WEBHOOK_SCHEMAS } from "./openapi-webhooks.ts";

/** Its answers when all went well, on the paths that may wait. */
function okOrLater(description: string, schema: unknown): Json {
  return { ...ok(description, schema), headers: GRANTED };
}

const READINESS = {
  type: "object",
  properties: { status: { enum: ["starting", "ready", "stopping"] } },
};

const MODEL = {
  name: "model",
  in: "path",
  required: true,
  description: "Name of a model, or one of its aliases.",
  schema: { type: "string", pattern: "^[A-Za-z0-9._-]+$" },
};

function text(description: string, type = "text/plain"): Json {
  return { description, content: { [type]: { schema: { type: "string" } } } };
}

const RESULT = {
  oneOf: [ref("ImageResult"), ref("VideoResult"), ref("AudioResult"), ref("TextResult"), ref("Running")],
};

/** What a status answer tells of an unfinished request's way. */
const OUTLOOK = {
  "X-Queue-Position": {
    description: "QUEUED: at most how many requests that came before it still wait, itself included. It never goes up.",
    schema: { type: "integer", minimum: 1 },
  },
  "X-Wait-Reason": {
    description: "QUEUED: what it waits for.",
    schema: { enum: ["model_limit", "cold_start", "no_worker", "retry_delay"] },
  },
  "X-Estimated-Seconds": {
    description: "Unfinished: in how many seconds it will probably have its outcome, the least and the most.",
    schema: { type: "string", pattern: "^\\d+-\\d+$" },
  },
};

/** Paths with parameters in braces, as OpenAPI has them. A test holds them equal to the routes. */
export const PATHS: Json = {
  "/v2/requests/{id}/status": {
    get: {
      tags: ["Requests"],
      operationId: "status",
      summary: "Status and metrics, without the output",
      parameters: [ID, ...WAIT_PARAMETERS],
      responses: {
        "200": {
          ...ok("The state.", { oneOf: [ref("Running"), ref("Completed")] }),
          headers: { ...GRANTED, ...OUTLOOK },
        },
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "422": FAILED,
      },
    },
  },
  "/v2/requests/{id}": {
    get: {
      tags: ["Requests"],
      operationId: "result",
      summary: "The full result",
      parameters: [ID, ...WAIT_PARAMETERS, PARTIAL],
      responses: {
        "200": okOrLater("The result, or the state while unfinished.", {
          anyOf: [...RESULT.oneOf, ref("PartialText")],
        }),
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "422": FAILED,
      },
    },
    delete: DELETE,
  },
  "/v2/requests/{id}/cancel": {
    post: {
      tags: ["Requests"],
      operationId: "cancel",
      summary: "End a request that waits or runs",
      description:
        "Needs no body. Again, it answers the same. A running model is told at once, and ended if it goes on.",
      parameters: [ID],
      responses: {
        "200": {
          ...ok("It is FAILED, with the code cancelled.", ref("Failure")),
          headers: { "X-Error-Code": { schema: { const: "cancelled" } } },
        },
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "409": CONFLICT,
        "503": ERROR,
      },
    },
  },
  ...EVENT_PATHS,
  ...OWN_PATHS,
  ...DEAD_LETTER_PATHS,
  ...WEBHOOK_PATHS,
  "/v1/requests/{id}": {
    get: {
      tags: ["Requests"],
      operationId: "poll",
      summary: "Status and result in one, HTTP 200 whatever the status",
      parameters: [ID, ...WAIT_PARAMETERS],
      responses: {
        "200": okOrLater("The result, the state, or the failure.", { oneOf: [...RESULT.oneOf, ref("Failure")] }),
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
      },
    },
  },
  "/upload-asset": {
    post: {
      tags: ["Files"],
      operationId: "upload",
      summary: "Store files to name in inputs",
      requestBody: { required: true, content: { "application/json": { schema: ref("Upload") } } },
      responses: {
        "200": ok("Where the files are.", ref("Uploaded")),
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "406": ERROR,
        "413": ERROR,
        "415": ERROR,
        "503": ERROR,
      },
    },
  },
  "/files/{path}": {
    get: {
      tags: ["Files"],
      operationId: "file",
      summary: "An output or an uploaded file; no key needed",
      security: [],
      parameters: [
        {
          name: "path",
          in: "path",
          required: true,
          description: "As in the URL of a result; it has slashes.",
          schema: { type: "string" },
        },
        {
          name: "Range",
          in: "header",
          description: "One part of the file, such as bytes=0-1023.",
          schema: { type: "string" },
        },
      ],
      responses: {
        "200": text("The file.", "*/*"),
        "206": text("The part that Range asks for.", "*/*"),
        "304": { description: "Not changed." },
        "404": ERROR,
        "416": ERROR,
      },
    },
  },
  "/v2/models": {
    get: {
      tags: ["Server"],
      operationId: "models",
      summary: "The models served here",
      responses: {
        "200": ok("All models.", ref("Models")),
        "401": ERROR,
      },
    },
  },
  "/v2/models/{model}": {
    get: {
      tags: ["Server"],
      operationId: "model",
      summary: "One model with its input schema",
      parameters: [MODEL],
      responses: { "200": ok("The model.", ref("Model")), "401": ERROR, "404": ERROR },
    },
  },
  "/healthz": {
    get: {
      tags: ["Server"],
      operationId: "health",
      summary: "Whether the server answers",
      security: [],
      responses: { "200": ok("It does.", { type: "object" }) },
    },
  },
  "/readyz": {
    get: {
      tags: ["Server"],
      operationId: "ready",
      summary: "Whether the light models are ready, and the server is not about to stop",
      security: [],
      responses: { "200": ok("It is.", READINESS), "503": ok("Not yet, or no more.", READINESS) },
    },
  },
  "/metrics": {
    get: {
      tags: ["Server"],
      operationId: "metrics",
      summary: "Figures for Prometheus; needs an admin key",
      responses: { "200": text("The figures."), "401": ERROR, "403": ERROR },
    },
  },
  "/openapi.json": {
    get: {
      tags: ["Server"],
      operationId: "openapi",
      summary: "This document",
      security: [],
      responses: { "200": ok("OpenAPI 3.1.", { type: "object" }) },
    },
  },
  "/docs": {
    get: {
      tags: ["Server"],
      operationId: "docs",
      summary: "This document as a page",
      security: [],
      responses: { "200": text("HTML.", "text/html") },
    },
  },
};

export const RESPONSES: Json = {
  Error: {
    description: "An error; its code is in X-Error-Code.",
    headers: { "X-Error-Code": { schema: { type: "string" } } },
    content: { "application/json": { schema: ref("Error") } },
  },
  NotFound: {
    description:
      "There is no such request of yours. X-Error-Code is expired if there was one, else unknown; docs/guide/not-found.md has more.",
    headers: {
      "X-Error-Code": { schema: { type: "string" } },
      "X-Expired-At": {
        description: "When it expired, if its id tells that.",
        schema: { type: "string", format: "date-time" },
      },
    },
    content: { "application/json": { schema: ref("Error") } },
  },
  Conflict: {
    description: "Not possible in the state that the request is in; the code is in X-Error-Code.",
    headers: { "X-Error-Code": { schema: { type: "string" } } },
    content: { "application/json": { schema: ref("Conflict") } },
  },
  Failed: {
    description: "The request failed, or its input was refused; the code is in X-Error-Code.",
    headers: { "X-Error-Code": { schema: { type: "string" } } },
    content: { "application/json": { schema: ref("Failure") } },
  },
};

const NUMBER = { type: "number" };
const FILE = object({ url: URL, content_type: STRING, file_name: STRING, file_size: { type: "integer" } });

export const SCHEMAS: Json = {
  ...OWN_SCHEMAS,
  ...DEAD_LETTER_SCHEMAS,
  ...WEBHOOK_SCHEMAS,
  Error: object({ error: STRING }),
  Failure: object({ status: { const: "FAILED" }, error: STRING, metrics: { type: "object" } }),
  Conflict: object({
    error: STRING,
    status: { enum: ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"] },
    request_id: STRING,
  }),
  Submitted: object({
    request_id: STRING,
    status: { const: "QUEUED" },
    poll_url: URL,
    status_url: URL,
    response_url: URL,
  }),
  Waited: WAITED,
  Running: object({
    status: { enum: ["QUEUED", "PROCESSING"] },
    request_id: STRING,
    status_url: URL,
    response_url: URL,
    metrics: { type: "object" },
  }),
  PartialText: PARTIAL_TEXT,
  Completed: object({ status: { const: "COMPLETED" }, request_id: STRING, metrics: ref("Metrics") }),
  Metrics: object({
    inference_time: { ...NUMBER, description: "Seconds the model ran." },
    queue_time: { ...NUMBER, description: "Seconds the request waited." },
    total_time: { ...NUMBER, description: "Seconds from submission to the end." },
  }),
  ImageResult: object(
    {
      status: { const: "COMPLETED" },
      images: {
        type: "array",
        items: object({ url: URL, content_type: STRING, file_size: { ...STRING, description: "Bytes." } }),
      },
      output: { ...URL, description: "The first image." },
      seed: { ...STRING, description: "The seed used." },
      prompt: STRING,
      timings: object({ inference: NUMBER }),
      metrics: ref("Metrics"),
    },
    ["seed", "prompt"],
  ),
  VideoResult: object({ status: { const: "COMPLETED" }, video: FILE, output: URL }),
  AudioResult: object({ status: { const: "COMPLETED" }, audio: FILE, output: URL }),
  TextResult: object({
    status: { const: "COMPLETED" },
    output: STRING,
    reasoning: { type: ["string", "null"] },
    partial: { const: false },
    error: { type: "null" },
  }),
  Upload: object({
    data_urls: {
      type: "array",
      minItems: 1,
      maxItems: 100,
      description: "The files, each as a data URI. What a file is, its bytes tell.",
      items: { ...STRING, examples: ["data:text/plain;base64,aGVsbG8="] },
    },
  }),
  Uploaded: object({
    urls: { type: "array", items: URL },
    file_urls: { type: "array", items: URL, description: "The same." },
    message: STRING,
  }),
  Models: object({ models: { type: "array", items: ref("Model") } }),
  Model: object(
    {
      name: STRING,
      modality: { enum: ["image", "video", "audio", "text"] },
      description: { type: ["string", "null"] },
      state: { enum: ["starting", "ready", "failed", "stopped"] },
      reason: { ...STRING, description: "Why the state is failed." },
      aliases: { type: "array", items: object({ name: STRING, stand_in: { type: ["string", "null"] } }) },
      input: { type: "object", description: "JSON Schema of the input; only for one model." },
    },
    ["reason", "input"],
  ),
};
