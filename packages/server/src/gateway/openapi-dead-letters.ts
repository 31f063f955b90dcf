/** What the OpenAPI document says of dead letters. */
import { LINKS } from "./openapi-events.ts";
import { RATE_LIMIT } from "./openapi-limits.ts";
import { ERROR, ID, object, ok, ref, STRING, type Json } from "./openapi-parts.ts";

const ERRORS: Json = { "401": ERROR, "403": ERROR, "404": ERROR, "503": ERROR };

export const DEAD_LETTER_PATHS: Json = {
  "/v2/dead-letters": {
    get: {
      tags: ["Requests"],
      operationId: "dead-letters",
      summary: "Requests that used up their attempts, the newest first",
      description:
        "Your own; a key with the scope admin sees everybody's. Link and next_cursor lead to the next page, which may be short, or empty, with more behind it.",
      parameters: [
        { name: "model", in: "query", description: "Name of a model, or one of its aliases.", schema: STRING },
        {
          name: "replayed",
          in: "query",
          description: "Whether a replay or a retry has run them once more.",
          schema: { enum: ["true", "false"] },
        },
        {
          name: "limit",
          in: "query",
          description: "How many at most, 1 to 200; 50 if it is left out.",
          schema: { type: "integer", minimum: 1, maximum: 200, default: 50 },
        },
        { name: "cursor", in: "query", description: "next_cursor of the page before.", schema: STRING },
      ],
      responses: {
        "200": {
          ...ok("A page of them.", ref("DeadLetters")),
          headers: { Link: { schema: STRING, description: 'The next page: <URL>; rel="next".' } },
        },
        "400": ERROR,
        "401": ERROR,
        "403": ERROR,
        "503": ERROR,
      },
    },
  },
  "/v2/dead-letters/{id}": {
    get: {
      tags: ["Requests"],
      operationId: "dead-letter",
      summary: "One dead letter: its attempts and its input",
      parameters: [ID],
      responses: { "200": ok("The dead letter.", ref("DeadLetter")), ...ERRORS },
    },
  },
  "/v2/dead-letters/{id}/replay": {
    post: {
      tags: ["Requests"],
      operationId: "replay",
      summary: "Run a dead letter once more",
      description:
        "Needs no body. A new request with the same model, input and options, of the same owner and key, whose times begin anew; the dead letter stays.",
      parameters: [
        ID,
        {
          name: "Idempotency-Key",
          in: "header",
          description: "Under the same key the same replay runs once, and is answered again.",
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
        ...ERRORS,
        "409": ERROR,
      },
    },
  },
};

const INSTANT: Json = { type: "string", format: "date-time" };
const STRING_OR_NULL: Json = { type: ["string", "null"] };

const FACTS: Json = {
  request_id: STRING,
  model: STRING,
  owner: { ...STRING, description: "For keys with the scope admin alone." },
  key: { ...STRING, description: "Name of the key that it came with; for keys with the scope admin alone." },
  created_at: INSTANT,
  finished_at: INSTANT,
  expires_at: INSTANT,
  attempts: { type: "integer", minimum: 1, description: "That it used up." },
  crashes: { type: "integer", minimum: 0, description: "Of these, how many were lost to a crash or a lost lease." },
  error: { ...STRING, description: "Why the last of them failed." },
  error_code: STRING,
  replayed: { type: "boolean", description: "A replay or a retry has run it once more." },
};
const OPERATORS: readonly string[] = ["owner", "key"];

export const DEAD_LETTER_SCHEMAS: Json = {
  DeadLetters: object({
    dead_letters: { type: "array", items: ref("ListedDeadLetter") },
    next_cursor: { ...STRING_OR_NULL, description: "null: there are no more." },
  }),
  ListedDeadLetter: object(FACTS, OPERATORS),
  DeadLetter: object(
    {
      ...FACTS,
      retry_of: STRING_OR_NULL,
      webhook: { ...STRING_OR_NULL, description: "Where its outcome was sent." },
      history: {
        type: "array",
        description: "Its attempts, in their order.",
        items: object({
          attempt: { type: "integer", minimum: 1 },
          worker: STRING_OR_NULL,
          started_at: INSTANT,
          ended_at: INSTANT,
          error: { ...STRING_OR_NULL, description: "null: it was given back unspent." },
          error_code: STRING_OR_NULL,
        }),
      },
      input: {
        type: ["object", "null"],
        description: "As the model got it, with its files named; null: it is larger than a megabyte.",
      },
    },
    OPERATORS,
  ),
};
