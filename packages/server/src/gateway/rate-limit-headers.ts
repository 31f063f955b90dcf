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
  // Put together in one go: keys with limits have them on each submit.
  let policies = "";
  let limits = "";
  for (const { name, policy, left, moreInSeconds } of quotas) {
    const between = policies === "" ? "" : ", ";
    policies += `${between}"${name}";${policy}`;
    limits += `${between}"${name}";r=${Math.max(0, Math.floor(left))}`;
    if (moreInSeconds !== null) limits += `;t=${moreInSeconds}`;
  }
  return { "ratelimit-policy": policies, ratelimit: limits };
}
