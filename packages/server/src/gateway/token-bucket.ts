/**
 * A bucket into which tokens fall at a steady rate, and out of which each event takes one. All there is of it is
 * one number: when it will be full again, ms. One that has never been used is full: `FULL`.
 */
export interface Rate {
  /** Tokens a second. */
  readonly perSecond: number;
  /** Tokens that it holds at most, at least 1. */
  readonly burst: number;
}

export const FULL: number = -Infinity;

/** What sums of fractions may be wrong by. */
const TINY = 1e-6;

/** The tokens in it at `now`; below 0 where more were taken than there were. */
export function tokensIn(fullAt: number, { perSecond, burst }: Rate, now: number): number {
  return burst - (Math.max(0, fullAt - now) * perSecond) / 1000 + TINY;
}

/** When it will be full after one token more has been taken at `now`. */
export function afterOne(fullAt: number, { perSecond }: Rate, now: number): number {
  return Math.max(fullAt, now) + 1000 / perSecond;
}

/** Whole seconds, at least 1, until there is a token in it, or one more. */
export function secondsToNext(fullAt: number, rate: Rate, now: number): number {
  const tokens = tokensIn(fullAt, rate, now);
  const missing = Math.floor(tokens) + 1 - tokens;
  return Math.max(1, Math.ceil(missing / rate.perSecond));
}
