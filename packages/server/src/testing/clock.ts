import type { Clock } from "../core/clock.ts";

export interface ManualClock extends Clock {
  /** Moves time on by `ms`. */
  advance(ms: number): void;
}

/** A clock that stands still until a test moves it. */
export function manualClock(startMs: number = Date.UTC(2026, 0, 1)): ManualClock {
  let now = startMs;
  return {
    now: () => now,
    advance(ms: number): void {
      now += ms;
    },
  };
}
