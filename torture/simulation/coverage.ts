/** What schedules must have met: a simulation that meets nothing proves nothing. */
import type { ScheduleResult } from "./schedules.ts";

/** How often each must come about, at least, in a thousand schedules. */
const PER_THOUSAND: Readonly<Record<string, number>> = {
  start: 2_000,
  kill: 300,
  "power loss": 300,
  "death in the middle of an operation": 300,
  stop: 300,
  stall: 500,
  "clock jump": 100,
  "disk operation failed": 300,
  "submit accepted": 3_000,
  "submit replayed": 100,
  "answer lost": 100,
  cancel: 50,
  delete: 50,
  release: 20,
  "refused settlement": 50,
  "log: lease ran out; request is tried again": 50,
  "run completed": 1_000,
  "run crashed": 100,
  "run timed_out": 20,
  "run aborted": 50,
  "webhook delivered": 500,
  "webhook twice": 20,
  "webhook's answer lost": 50,
  redelivery: 10,
  "log: request expired before it had an outcome": 50,
};

/** Of all schedules together, the most frequent first. */
export function tally(results: readonly ScheduleResult[]): ReadonlyMap<string, number> {
  const met = new Map<string, number>();
  for (const result of results) {
    for (const [what, count] of Object.entries(result.met)) met.set(what, (met.get(what) ?? 0) + count);
  }
  return new Map([...met].sort(([, a], [, b]) => b - a));
}

/** What came about too seldom in so many schedules. */
export function missing(met: ReadonlyMap<string, number>, schedules: number): string[] {
  return Object.entries(PER_THOUSAND).flatMap(([what, least]) => {
    const wanted = Math.floor((least * schedules) / 1_000);
    const came = met.get(what) ?? 0;
    return came >= wanted ? [] : [`${what}: ${came} times, at least ${wanted} were expected`];
  });
}
