/** What the OpenAPI document says of calls that may wait. */
import { object, STRING, URL, type Json } from "./openapi-parts.ts";

export const WAIT_COMPONENTS: Json = {
  Wait: {
    name: "wait",
    in: "query",
    description:
      "Seconds to wait for the outcome. The call is answered as soon as the request is finished, or after that time with the state of then.",
    schema: { type: "number", minimum: 0 },
  },
  Prefer: {
    name: "Prefer",
    in: "header",
    description: "`wait=<seconds>` (RFC 7240) does the same; a `wait` in the query counts more.",
    schema: STRING,
    example: "wait=30",
  },
};

export const WAIT_PARAMETERS: readonly Json[] = Object.keys(WAIT_COMPONENTS).map((name) => ({
  $ref: `#/components/parameters/${name}`,
}));

/** Of an answer to a call that asked to wait. */
export const GRANTED: Json = {
  "Preference-Applied": {
    description:
      "`wait=<seconds>`: how long the call was let wait; the server's limit may be less than what was asked for.",
    schema: STRING,
  },
};

/** Answer to a submit that waited. */
export const WAITED: Json = {
  ...object({
    request_id: STRING,
    status: { enum: ["QUEUED", "PROCESSING", "COMPLETED"] },
    poll_url: URL,
    status_url: URL,
    response_url: URL,
  }),
  description: "The five fields of a submit with the true status, followed by those of the result's body.",
};
