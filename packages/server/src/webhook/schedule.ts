/** When a delivery that failed is tried again, and when it is given up. */
import type { Delivery } from "../store/deliveries.ts";

/** How long a delivery is tried, from its outcome or from when it was asked for again, ms. */
export const TRIED_FOR_MS: number = 24 * 3_600_000;

const FIRST_DELAY_MS = 5_000;
/** Each delay is so many times the one before. */
const GROWTH = 3;
const LONGEST_DELAY_MS = 2 * 3_600_000;
/** Share of a delay by which it is made shorter or longer by chance: what failed together does not come back together. */
const JITTER = 0.25;
/** The last try comes so long before the end, ms. */
const LAST_BEFORE_END_MS = 60_000;

/**
 * When to try `delivery` again that has failed at `now`, or null: its time is over. `retryAfterMs` is what the
 * receiver asked for; it is heeded from a second to the longest delay.
 */
export function nextTry(
  { askedAt, attempts }: Pick<Delivery, "askedAt" | "attempts">,
  now: number,
  retryAfterMs: number | null,
  random: () => number = Math.random,
): number | null {
  const last = askedAt + TRIED_FOR_MS - LAST_BEFORE_END_MS;
  if (now >= last) return null;
  const before = attempts.filter(({ at }) => at >= askedAt).length;
  const delay =
    retryAfterMs === null
      ? jittered(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * GROWTH ** before), random)
      : Math.min(LONGEST_DELAY_MS, Math.max(1_000, retryAfterMs) * (1 + JITTER * random())); // never earlier than asked
  return Math.min(last, now + delay);
}

export function jittered(ms: number, random: () => number): number {
  return ms * (1 + JITTER * (2 * random() - 1));
}

/** What a Retry-After says (RFC 9110 §10.2.3), ms from `now`; null where it says nothing. */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = /^[A-Z][a-z]+,? .+ GMT$/.test(text) ? Date.parse(text) : Number.NaN; // Date.parse alone takes almost anything
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
