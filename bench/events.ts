/** Streams of events (`/v2/requests/{id}/events`). */
import { crowd } from "./crowd.ts";
import type { Figure } from "./figures.ts";
import { type Bench, inline } from "./measure.ts";

export function followed(bench: Bench): Promise<Figure[]> {
  return crowd(bench, {
    verb: "follow",
    clients: "followers.ts",
    pathOf: (id) => `/v2/requests/${id}/events`,
    config: inline,
    rssBelow: 400,
  });
}
