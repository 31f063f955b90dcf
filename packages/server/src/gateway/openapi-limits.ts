/** What the OpenAPI document says of limits: on every path that takes a key, and on those that make requests. */
import type { Json } from "./openapi-parts.ts";

const RETRY_AFTER: Json = {
  "Retry-After": { description: "Seconds.", schema: { type: "integer", minimum: 1 } },
};

/** Of answers to a key that has limits. */
export const RATE_LIMIT: Json = {
  "RateLimit-Policy": {
    description: "The limits, as draft-ietf-httpapi-ratelimit-headers-10 has them.",
    schema: { type: "string", examples: ['"requests";q=10;w=1, "in-flight";q=50;qu="concurrent-requests"'] },
  },
  RateLimit: {
    description: "What is left of them.",
    schema: { type: "string", examples: ['"requests";r=3;t=1, "in-flight";r=49'] },
  },
};

const CODE: Json = { "X-Error-Code": { schema: { type: "string" } } };
const CONTENT: Json = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } };

export const LIMIT_RESPONSES: Json = {
  TooMany: {
    description:
      "A limit of the key, of the model, or of wrong keys and ids from one address; docs/guide/limits.md has more.",
    headers: { ...CODE, ...RETRY_AFTER, ...RATE_LIMIT },
    content: CONTENT,
  },
  Unavailable: {
    description: "The server cannot take it now, or has as much as it takes; the code is in X-Error-Code.",
    headers: { ...CODE, ...RETRY_AFTER, ...RATE_LIMIT },
    content: CONTENT,
  },
};

interface Operation {
  readonly responses?: Readonly<Record<string, unknown>>;
}

/** `paths` with what may come instead of an answer wherever a key is taken. */
export function withLimits(paths: Json): Json {
  return changed(paths, (path) =>
    changed(path as Json, (operation) => {
      const { responses } = operation as Operation;
      if (responses?.["401"] === undefined) return operation;
      const unavailable = responses["503"] !== undefined && { "503": { $ref: "#/components/responses/Unavailable" } };
      const limited = { "429": { $ref: "#/components/responses/TooMany" }, ...unavailable };
      return { ...(operation as Json), responses: { ...responses, ...limited } };
    }),
  );
}

function changed(values: Json, change: (value: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}
