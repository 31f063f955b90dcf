/** What the OpenAPI document says of following a request. */
import { ERROR, ID, NOT_FOUND, STRING, type Json } from "./openapi-parts.ts";

const TOKEN = "eventToken";

/** How a call may be permitted without a key. */
export const EVENT_SECURITY: Json = {
  [TOKEN]: {
    type: "apiKey",
    in: "query",
    name: "token",
    description: "For the events of one request, for an hour: it stands in the Link header of the submit's answer.",
  },
};

/** Of an answer to a submit. */
export const LINKS: Json = {
  Link: {
    description:
      'Where the request can be followed, with a token in place of a key, and ended: <URL>; rel="events", <URL>; rel="cancel".',
    schema: STRING,
  },
};

export const EVENT_PATHS: Json = {
  "/v2/requests/{id}/events": {
    get: {
      tags: ["Requests"],
      operationId: "events",
      summary: "Follow a request: a stream of Server-Sent Events",
      description:
        "`status` tells the state and each change of it, `progress`, `log` and `output` what the run tells, `gone` that the request has been deleted or has expired. The stream ends with the `status` that is COMPLETED or FAILED, or with `gone`. The data of each event is a JSON object.",
      security: [{ apiKey: [] }, { bearer: [] }, { [TOKEN]: [] }],
      parameters: [
        ID,
        {
          name: "Last-Event-ID",
          in: "header",
          description: "The id of the last event that was read: the stream goes on behind it.",
          schema: STRING,
        },
      ],
      responses: {
        "200": {
          description: "The stream.",
          headers: LINKS,
          content: { "text/event-stream": { schema: STRING } },
        },
        "204": { description: "The outcome was read, as the Last-Event-ID shows: there is nothing more." },
        "401": ERROR,
        "403": ERROR,
        "404": NOT_FOUND,
        "503": ERROR,
      },
    },
  },
};
