/** The `Link` header of an accepted submit (RFC 8288): where its request can be followed, and ended. */
import type { EventTokens } from "./event-token.ts";

/** In place of a key, the URL of the events has a token of its own. Text alone: this is part of the hot path. */
export function linksOf(id: string, base: string, tokens: EventTokens): string {
  const request = `${base}/v2/requests/${id}`;
  return `<${request}/events?token=${tokens.make(id)}>; rel="events", <${request}/cancel>; rel="cancel"`;
}
