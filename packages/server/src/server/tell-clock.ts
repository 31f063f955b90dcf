import type { Logger } from "pino";
import type { Clock } from "../core/clock.ts";

const DAY_MS = 86_400_000;

/**
 * Tells at a start where clock and data directory disagree, of which `newestAt` is the time of the newest request.
 * A server that was off for a month and a clock that is a month ahead look alike from here, so neither is refused.
 */
export function tellClock(newestAt: number | null, clock: Clock, logger: Logger): void {
  if (newestAt === null) return;
  const now = clock.now();
  const fields = { clock: new Date(now).toISOString(), newest: new Date(newestAt).toISOString() };
  if (newestAt > now) {
    logger.warn(fields, "the clock is behind the newest request: what waits is due now, and lives longer by as much");
  } else if (newestAt < now - DAY_MS) {
    logger.warn(
      fields,
      "the newest request is old: what has expired since is deleted. If it is not, the clock is ahead",
    );
  }
}
