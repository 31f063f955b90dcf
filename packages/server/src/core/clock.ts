/** Source of time. Injected everywhere, so that tests own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction. Never goes backwards within a process. */
  now(): number;
}

/**
 * The wall clock as it was at start plus the monotonic clock since: a wall clock that jumps
 * moves no lease and expires nothing.
 */
export function systemClock(): Clock {
  const startedAt = Date.now() - performance.now();
  return { now: () => startedAt + performance.now() };
}
