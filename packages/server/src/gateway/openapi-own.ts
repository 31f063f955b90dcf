/** What the OpenAPI document says of a caller's own requests: list, timeline, delete, retry. */
import { LINKS } from "./openapi-events.ts";
import { RATE_LIMIT } from "./openapi-limits.ts";
import { ERROR, ID, NOT_FOUND, object, ok, ref, STRING, URL, type Json } from "./openapi-parts.ts";

function query(name: string, description: string, schema: Json = STRING): Json {
  return { name, in: "query", description, schema };
}

const STATUS: Json = { enum: ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"] };
const TIME = "ISO 8601 with its zone, a date, or seconds since 1970.";

export const OWN_PATHS: Json = {
  "/v2/requests": {
    get: {
      tags: ["Requests"],
      operationId: "list",
      summary: "Your own requests, the newest first",
      description: "Every filter that is given must match. The Link header and next_cursor lead to the next page.",
      parameters: [
        query("status", "QUEUED, PROCESSING, COMPLETED or FAILED.", STATUS),
        query("model", "Name of a model, or one of its aliases."),
        query("since", `Submitted then or later: ${TIME}`),
        query("until", `Submitted before: ${TIME}`),
        query(
          "idempotency_key",
          "The Idempotency-Key that it was submitted with: finds a request whose answer was lost.",
        ),
        query("limit", "How many at most, 1 to 200; 50 if it is left out.", {
          type: "integer",
          minimum: 1,
          maximum: 200,
          default: 50,
        }),
        query("cursor", "next_cursor of the page before."),
      ],
      responses: {
        "200": {
          ...ok("A page of them.", ref("Page")),
          headers: { Link: { schema: STRING, description: 'The next page: <URL>; rel="next".' } },
        },
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "503": ERROR,
      },
    },
  },
  "/v2/requests/{id}/timeline": {
    get: {
      tags: ["Requests"],
      operationId: "timeline",
      summary: "What happened to a request: each attempt, and the outcome",
      parameters: [ID],
      responses: {
        "200": ok("Its events, the oldest first.", ref("Timeline")),
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "503": ERROR,
      },
    },
  },
  "/v2/requests/{id}/retry": {
    post: {
      tags: ["Requests"],
      operationId: "retry",
      summary: "Run the input of a finished request once more",
      description:
        "Needs no body. A new request with the same model, input and options, whose times begin anew; the old one stays.",
      parameters: [
        ID,
        {
          name: "Idempotency-Key",
          in: "header",
          description: "Under the same key the same retry runs once, and is answered again.",
          schema: { type: "string", minLength: 1, maxLength: 255 },
        },
      ],
      responses: {
        "200": {
          ...ok("Accepted, and durable.", ref("Retried")),
          headers: {
            ...LINKS,
            ...RATE_LIMIT,
            "Idempotent-Replayed": { schema: { const: "true" }, description: "It was accepted before." },
          },
        },
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "409": ok("It has not finished, or the key belongs to another request; the code is in X-Error-Code.", {
          oneOf: [ref("Conflict"), ref("Error")],
        }),
        "503": ERROR,
      },
    },
  },
};

export const DELETE: Json = {
  tags: ["Requests"],
  operationId: "delete",
  summary: "Delete a request and its files",
  description: "One that has not finished is cancelled. Afterwards it is not found any more, its files neither.",
  parameters: [ID],
  responses: { "204": { description: "It is gone." }, "401": ERROR, "403": ERROR, "404": NOT_FOUND, "503": ERROR },
};

const INSTANT: Json = { type: "string", format: "date-time" };
const INSTANT_OR_NULL: Json = { type: ["string", "null"], format: "date-time" };
const STRING_OR_NULL: Json = { type: ["string", "null"] };
const ATTEMPT: Json = { type: "integer", minimum: 1 };

export const OWN_SCHEMAS: Json = {
  Page: object({
    requests: { type: "array", items: ref("Listed") },
    next_cursor: { ...STRING_OR_NULL, description: "null: there are no more." },
  }),
  Listed: object({
    request_id: STRING,
    model: STRING,
    status: STATUS,
    created_at: INSTANT,
    started_at: { ...INSTANT_OR_NULL, description: "When the latest attempt began." },
    finished_at: INSTANT_OR_NULL,
    expires_at: INSTANT,
    priority: { enum: ["low", "normal", "high"] },
    attempts: { type: "integer", minimum: 0, description: "So far, those that were given back included." },
    error: { ...STRING_OR_NULL, description: "Why it is FAILED." },
    error_code: STRING_OR_NULL,
    idempotency_key: STRING_OR_NULL,
    retry_of: { ...STRING_OR_NULL, description: "The request whose input it runs again." },
    status_url: URL,
    response_url: URL,
  }),
  Retried: object({
    request_id: STRING,
    status: { const: "QUEUED" },
    poll_url: URL,
    status_url: URL,
    response_url: URL,
    retry_of: { ...STRING, description: "The request whose input it runs again." },
  }),
  Timeline: object({
    request_id: STRING,
    retry_of: STRING_OR_NULL,
    expires_at: INSTANT,
    events: { type: "array", items: ref("Event") },
  }),
  Event: object(
    {
      at: INSTANT,
      event: {
        enum: [
          "submitted",
          "leased",
          "attempt_failed",
          "released",
          "completed",
          "failed",
          "webhook_delivered",
          "webhook_attempt_failed",
          "webhook_given_up",
        ],
      },
      attempt: ATTEMPT,
      worker: STRING,
      error_code: STRING,
      error: STRING,
      next_try_at: { ...INSTANT, description: "When it may be taken up again, or the webhook is sent again." },
      http_status: { type: ["integer", "null"], description: "What the webhook's receiver answered; null: nothing." },
    },
    ["attempt", "worker", "error_code", "error", "next_try_at", "http_status"],
  ),
};
