/** What the OpenAPI document says of webhooks: how a submit asks for one, what is sent, and the paths about them. */
import { ERROR, object, ok, ref, STRING, URL, type Json } from "./openapi-parts.ts";

const INSTANT: Json = { type: "string", format: "date-time" };
const INSTANT_OR_NULL: Json = { type: ["string", "null"], format: "date-time" };
const NUMBER: Json = { type: "number" };

function query(name: string, description: string, schema: Json): Json {
  return { name, in: "query", description, schema };
}

export const WEBHOOK_COMPONENTS: Json = {
  Webhook: query(
    "webhook",
    "Absolute http or https URL, percent-encoded, that is told of the outcome: by a signed POST, tried again for 24 hours.",
    { ...URL, maxLength: 2048 },
  ),
  WebhookEvents: query("webhook_events", "Of which outcomes: completed, failed, or both with a comma between.", {
    ...STRING,
    default: "completed,failed",
  }),
  WebhookBody: query("webhook_body", "full: with the result. thin: with where to fetch it.", {
    enum: ["full", "thin"],
    default: "full",
  }),
};

export const WEBHOOK_PARAMETERS: readonly Json[] = Object.keys(WEBHOOK_COMPONENTS).map((name) => ({
  $ref: `#/components/parameters/${name}`,
}));

const ID: Json = {
  name: "id",
  in: "path",
  required: true,
  description: "The request_id of the request that it tells of.",
  schema: { type: "string", format: "uuid" },
};

export const WEBHOOK_PATHS: Json = {
  "/v2/webhooks/deliveries": {
    get: {
      tags: ["Webhooks"],
      operationId: "deliveries",
      summary: "The webhooks of your own requests, those of the newest first",
      description: "There is one from the moment its request is finished. Link and next_cursor lead to the next page.",
      parameters: [
        query("state", "pending, delivered or failed (given up).", { enum: ["pending", "delivered", "failed"] }),
        query("limit", "How many at most, 1 to 200; 50 if it is left out.", {
          type: "integer",
          minimum: 1,
          maximum: 200,
          default: 50,
        }),
        query("cursor", "next_cursor of the page before.", STRING),
      ],
      responses: {
        "200": {
          ...ok("A page of them.", ref("Deliveries")),
          headers: { Link: { schema: STRING, description: 'The next page: <URL>; rel="next".' } },
        },
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "503": ERROR,
      },
    },
  },
  "/v2/webhooks/deliveries/{id}": {
    get: {
      tags: ["Webhooks"],
      operationId: "delivery",
      summary: "One webhook: its tries, when the next is due, and its body as it is sent",
      parameters: [ID],
      responses: { "200": ok("The webhook.", ref("Delivery")), "401": ERROR, "403": ERROR, "404": ERROR, "503": ERROR },
    },
  },
  "/v2/webhooks/deliveries/{id}/redeliver": {
    post: {
      tags: ["Webhooks"],
      operationId: "redeliver",
      summary: "Send a webhook again, now",
      description: "Needs no body. Whatever became of it before; its webhook-id stays the same.",
      parameters: [ID],
      responses: {
        "200": ok("It is pending and due now.", ref("ListedDelivery")),
        "401": ERROR,
        "403": ERROR,
        "404": ERROR,
        "503": ERROR,
      },
    },
  },
  "/v2/webhooks/secret": {
    get: {
      tags: ["Webhooks"],
      operationId: "webhook-secret",
      summary: "The secret that your webhooks are signed with",
      responses: { "200": ok("The secret.", ref("WebhookSecret")), "401": ERROR, "403": ERROR, "503": ERROR },
    },
  },
  "/v2/webhooks/secret/rotate": {
    post: {
      tags: ["Webhooks"],
      operationId: "rotate-webhook-secret",
      summary: "Make a new secret; the old one signs beside it for a while",
      description: "Needs no body.",
      parameters: [
        query("overlap", "Seconds for which the old secret goes on signing, at most a week; a day if it is left out.", {
          type: "integer",
          minimum: 0,
          maximum: 604_800,
          default: 86_400,
        }),
      ],
      responses: {
        "200": ok("The new secret.", ref("WebhookSecret")),
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "503": ERROR,
      },
    },
  },
};

const ATTEMPT = object({
  at: INSTANT,
  took_seconds: NUMBER,
  http_status: { type: ["integer", "null"], description: "null: there was no answer." },
  error: { type: ["string", "null"], description: "Why it counts as failed; null: it was delivered." },
});

const FACTS: Json = {
  request_id: STRING,
  event: { enum: ["request.completed", "request.failed"] },
  url: URL,
  state: { enum: ["pending", "delivered", "failed"], description: "failed: it was given up." },
  created_at: { ...INSTANT, description: "When its request was finished." },
  tries: { type: "integer", minimum: 0, description: "So far." },
  next_try_at: { ...INSTANT_OR_NULL, description: "When it is due; null unless it is pending." },
};

const WITHOUT_RESULT: Json = {
  request_id: STRING,
  model: STRING,
  status: { enum: ["COMPLETED", "FAILED"] },
  error_code: { type: ["string", "null"], description: "FAILED: why." },
  created_at: INSTANT,
  finished_at: INSTANT,
  status_url: URL,
  response_url: URL,
};

export const WEBHOOK_SCHEMAS: Json = {
  Deliveries: object({
    deliveries: {
      type: "array",
      items: ref("ListedDelivery"),
    },
    next_cursor: { type: ["string", "null"], description: "null: there are no more." },
  }),
  ListedDelivery: object({ ...FACTS, last_attempt: { oneOf: [ATTEMPT, { type: "null" }] } }),
  Delivery: object({
    ...FACTS,
    attempts: { type: "array", items: ATTEMPT, description: "The latest." },
    webhook_body: { enum: ["full", "thin"] },
    body: { ...STRING, description: "The text that is sent and signed." },
  }),
  WebhookSecret: object({
    secret: { ...STRING, pattern: "^whsec_", description: "As Standard Webhooks libraries take it." },
    created_at: INSTANT,
    previous: {
      description: "The one before it, while that signs too.",
      oneOf: [object({ secret: STRING, expires_at: INSTANT }), { type: "null" }],
    },
  }),
  WebhookEvent: object({
    type: { enum: ["request.completed", "request.failed"] },
    timestamp: { ...INSTANT, description: "When the request was finished." },
    data: {
      ...object(
        {
          ...WITHOUT_RESULT,
          metrics: { ...ref("Metrics"), description: "full." },
          output: { ...STRING, description: "full: the text, or the URL of the file, as the result has it." },
          error: { type: ["string", "null"], description: "full: why it failed." },
          truncated: { const: true, description: "The text is too large for a webhook: fetch response_url." },
        },
        ["error_code", "metrics", "output", "error", "truncated"],
      ),
      description: "full: with the other fields of the result too (images, video, audio, seed, reasoning, …).",
      additionalProperties: true,
    },
  }),
};

function header(name: string, description: string): Json {
  return { name, in: "header", required: true, description, schema: STRING };
}

/** What the server itself sends; the `webhooks` of the document. */
export const WEBHOOKS: Json = {
  finished: {
    post: {
      operationId: "finished",
      summary: "A request that asked for it is finished",
      description:
        "Sent to the URL that the submit named, signed by Standard Webhooks, at least once: take each webhook-id once. " +
        "Anything but 2xx within 15 seconds is tried again for 24 hours; 410 ends it. Redirects are not followed.",
      security: [],
      parameters: [
        header("webhook-id", "The request's id: the same at every try."),
        header("webhook-timestamp", "When this try was sent, seconds since 1970."),
        header("webhook-signature", "v1,<base64>; several, with a space between, while a secret is being rotated."),
      ],
      requestBody: { required: true, content: { "application/json": { schema: ref("WebhookEvent") } } },
      responses: { "2XX": { description: "Taken." }, "410": { description: "Never send it again." } },
    },
  },
};
