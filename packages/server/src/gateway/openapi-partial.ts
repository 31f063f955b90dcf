/** What the OpenAPI document says of `?partial=1`. */
import { object, STRING, URL, type Json } from "./openapi-parts.ts";

export const PARTIAL: Json = {
  name: "partial",
  in: "query",
  description:
    "`1` or `true`: a request that runs and makes a text is answered with what there is of the text already.",
  schema: { type: "boolean", default: false },
};

export const PARTIAL_TEXT: Json = {
  ...object({
    status: { const: "PROCESSING" },
    request_id: STRING,
    status_url: URL,
    response_url: URL,
    metrics: { type: "object" },
    output: { ...STRING, description: "The text so far." },
    reasoning: { type: "null" },
    partial: { const: true },
    error: { type: "null" },
  }),
  description: "Answer to `?partial=1` while a text is made. Without it, a request that runs has no `output`.",
};
