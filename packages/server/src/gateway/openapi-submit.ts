/** What the OpenAPI document says of the headers of a submit: the same for every model, so they are named once. */
import type { Json } from "./openapi-parts.ts";

const SECONDS: Json = { type: "number", exclusiveMinimum: 0 };

function header(name: string, description: string, schema: Json): Json {
  return { name, in: "header", description, schema };
}

export const PARAMETERS: Json = {
  IdempotencyKey: header(
    "Idempotency-Key",
    "The same request under the same key is answered with the id that it had, and not run again. Another request is 409.",
    { type: "string", minLength: 1, maxLength: 255, pattern: "^[ -~]+$" },
  ),
  Priority: header("X-Priority", "Higher ones are taken up first; low ones do not wait for ever.", {
    enum: ["low", "normal", "high"],
    default: "normal",
  }),
  StartTimeout: header("X-Start-Timeout", "Seconds in which a worker must take it up, or it fails.", SECONDS),
  RunTimeout: header("X-Run-Timeout", "Seconds that the model may run, at most its own limit.", SECONDS),
  ResultTtl: header("X-Result-TTL", "Seconds that the request, its result and its files live.", SECONDS),
  KeepUntilRead: header(
    "X-Keep-Until-Read",
    "That life begins with the first reading of the result, which is kept for it as long as any may be.",
    { type: "boolean", default: false },
  ),
};

export const SUBMIT_PARAMETERS: readonly Json[] = Object.keys(PARAMETERS).map((name) => ({
  $ref: `#/components/parameters/${name}`,
}));

/** Of an answer that repeats an earlier one. */
export const REPLAYED: Json = {
  "Idempotent-Replayed": {
    description: "The request is the one that had the idempotency key already.",
    schema: { const: "true" },
  },
};
