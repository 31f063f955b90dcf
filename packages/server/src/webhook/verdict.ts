/** What an answer to a webhook means. */
import type { Posted } from "./post.ts";
import { retryAfterMs } from "./schedule.ts";

export interface Verdict {
  /** HTTP status; null where no answer came. */
  readonly status: number | null;
  /** Why it counts as failed, a sentence; null: it is delivered. */
  readonly error: string | null;
  /** No further try can change it. */
  readonly final: boolean;
  /** Whether the host is in trouble, and not this one delivery: it gave no answer, or said so itself. Null: it was not asked. */
  readonly hostFailed: boolean | null;
  /** How long the receiver asked to be left alone, ms. */
  readonly retryAfterMs: number | null;
}

/** `now`: when the answer came. */
export function verdictOf(posted: Posted, now: number): Verdict {
  const { status } = posted;
  if (status === null) {
    const { error, ownFault = false } = posted;
    return { status, error, final: false, hostFailed: ownFault ? null : true, retryAfterMs: null };
  }
  const answered = { status, final: false, hostFailed: false, retryAfterMs: null };
  if (status >= 200 && status < 300) return { ...answered, error: null };
  if (status === 410)
    return { ...answered, error: "The receiver answered 410: it wants no more of this.", final: true };
  if (status >= 300 && status < 400) {
    return { ...answered, error: `The receiver answered ${status}, a redirect. Redirects are not followed.` };
  }
  return {
    ...answered,
    error: `The receiver answered ${status}.`,
    hostFailed: status === 429 || status >= 500,
    retryAfterMs: status === 429 || status === 503 ? retryAfterMs(posted.retryAfter, now) : null,
  };
}
