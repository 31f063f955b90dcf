/** Calls that wait (`?wait=`). */
import { crowd } from "./crowd.ts";
import type { Figure } from "./figures.ts";
import { type Bench, inline } from "./measure.ts";

/** Longer than the bench takes: nobody is to be answered because its time is over. */
const WAIT_SECONDS = 600;

export function waited(bench: Bench): Promise<Figure[]> {
  return crowd(bench, {
    verb: "wait for",
    clients: "waiters.ts",
    pathOf: (id) => `/v2/requests/${id}/status?wait=${WAIT_SECONDS}`,
    config: { ...inline, waitLimitSeconds: WAIT_SECONDS },
    rssBelow: 300,
  });
}
