/**
 * `RateLimit-Policy`, which limits there are, and `RateLimit`, what is left of them: lists of named items
 * (draft-ietf-httpapi-ratelimit-headers-10 §3 and §4, RFC 9651 §3.1).
 */
import type { Rate } from "./token-bucket.ts";

/** One limit and how it stands. */
export interface Quota {
  readonly name: "requests" | "in-flight" | "model-waiting" | "server-waiting";
  /** Its parameters in RateLimit-Policy. */
  readonly policy: string;
  readonly left: number;
  /** Whole seconds until there is more; null where nobody knows. */
  readonly moreInSeconds: number | null;
}

/** Requests a second, in whole numbers as the draft wants them: rounded so that whoever keeps to them is never refused. */
export function ratePolicy({ perSecond }: Rate): string {
  return perSecond >= 1 ? `q=${Math.floor(perSecond)};w=1` : `q=1;w=${Math.ceil(1 / perSecond)}`;
}

/** A limit of requests that are there at a time. */
export function placesPolicy(most: number): string {
  return `q=${most};qu="concurrent-requests"`;
}

export function rateLimitHeaders(quotas: readonly Quota[]): Readonly<Record<string, string>> {
  if (quotas.length === 0) return {};
  const policies = quotas.map(({ name, policy }) => `"${name}";${policy}`);
  const limits = quotas.map(({ name, left, moreInSeconds }) => {
    const more = moreInSeconds === null ? "" : `;t=${moreInSeconds}`;
    return `"${name}";r=${Math.max(0, Math.floor(left))}${more}`;
  });
  return { "ratelimit-policy": policies.join(", "), ratelimit: limits.join(", ") };
}
