/**
 * The life of a request, in words. docs/state-machine.md draws it.
 *
 *   QUEUED      accepted, durable, waiting. `lease` takes it to PROCESSING; `cancel` and
 *               `startTimeout` to FAILED.
 *   PROCESSING  one worker holds its lease. `complete` takes it to COMPLETED; `fail` to FAILED, or
 *               back to QUEUED while tries are left; `release` back to QUEUED, the attempt unspent;
 *               `lost` (the lease ran out) counts as a crash; `cancel` to FAILED.
 *   COMPLETED, FAILED  final. Nothing leads out of them.
 *
 * Every event that a worker sends carries the token of its lease, and a token that is not the
 * present one changes nothing: a late worker is refused, whatever it brings.
 * Expiry and deletion remove the request; they are no states.
 */
import { isFinished } from "./request.ts";
import type { Failure, PastAttempt, RequestState, Result } from "./request.ts";

/** How often requests of a model are tried again. */
export interface RetryPolicy {
  /** Further tries after crashes of the runner and lost leases. */
  readonly crashes: number;
  /** Further tries after errors that the model calls `Retryable`. */
  readonly errors: number;
  /** Wait before the first of these tries, ms; each further one is five times as long, up to `LONGEST_DELAY_MS`. */
  readonly delayMs: number;
}

/** Where nothing is said of a model: three tries in all, after 1 s and 5 s. */
export const DEFAULT_RETRIES: RetryPolicy = { crashes: 2, errors: 2, delayMs: 1_000 };

/** Longest wait that a policy leads to; a model that names a delay itself may ask for more. */
export const LONGEST_DELAY_MS = 300_000;

const DELAY_GROWS_BY = 5;

/** How an attempt failed. `error` is final; `retryable` and `crash` are tried again, each counted apart. */
export type FailKind = "error" | "retryable" | "crash";

export type RequestEvent =
  | { readonly type: "lease"; readonly token: string; readonly worker: string; readonly deadline: number }
  | { readonly type: "heartbeat"; readonly token: string; readonly deadline: number }
  | { readonly type: "complete"; readonly token: string; readonly result: Result; readonly inferenceMs: number }
  | {
      readonly type: "fail";
      readonly token: string;
      readonly kind: FailKind;
      readonly failure: Failure;
      readonly inferenceMs: number;
      /** Wait before the next try, when the model named one. */
      readonly retryAfterMs?: number;
      /** That of the request's model; `DEFAULT_RETRIES` if left out. */
      readonly retries?: RetryPolicy;
    }
  | { readonly type: "release"; readonly token: string }
  | { readonly type: "lost"; readonly retries?: RetryPolicy }
  | { readonly type: "cancel"; readonly failure: Failure }
  | { readonly type: "startTimeout"; readonly failure: Failure };

/** `fenced`: another lease, or none, is in force. `finished`: there is an outcome already. `waiting`: not leasable yet. */
export type Refusal = "fenced" | "finished" | "waiting";

/** `past`: the attempt that ended without an outcome. */
export type Transition =
  | { readonly ok: true; readonly state: RequestState; readonly past?: PastAttempt }
  | { readonly ok: false; readonly refusal: Refusal };

/** The state after `event` at `now` (ms), or why it is not allowed. Pure. */
export function transition(state: RequestState, event: RequestEvent, now: number): Transition {
  if (isFinished(state.status)) return refuse("finished");
  if ("token" in event && event.type !== "lease" && state.lease?.token !== event.token) return refuse("fenced");
  switch (event.type) {
    case "lease":
      if (state.status !== "QUEUED") return refuse("fenced");
      if (state.notBefore > now) return refuse("waiting");
      return to({
        ...state,
        status: "PROCESSING",
        leases: state.leases + 1,
        worker: event.worker,
        lease: { token: event.token, worker: event.worker, deadline: event.deadline },
        startedAt: now,
      });
    case "heartbeat":
      return to({ ...state, lease: { ...state.lease!, deadline: event.deadline } });
    case "complete":
      return to({
        ...ended(state, now),
        status: "COMPLETED",
        attempts: state.attempts + 1,
        inferenceMs: event.inferenceMs,
        result: event.result,
      });
    case "fail":
      return failed(state, event, now);
    case "release":
      return back(state, { ...state, notBefore: now }, null, now);
    case "lost":
      if (state.status !== "PROCESSING") return refuse("fenced");
      return failed(state, { ...LOST, ...event }, now);
    case "cancel":
      return to({ ...ended(state, now), status: "FAILED", failure: event.failure });
    case "startTimeout":
      if (state.leases > 0 || state.status !== "QUEUED") return refuse("fenced");
      return to({ ...ended(state, now), status: "FAILED", failure: event.failure });
  }
}

/** What is told of a request that expires unfinished: its outcome is that it has none. */
export const EXPIRED: Failure = { code: "expired", message: "The request expired before it had an outcome." };

const LOST = {
  kind: "crash",
  failure: { code: "lease_lost", message: "The worker that ran this request went silent and its lease ran out." },
  inferenceMs: null,
} as const;

interface FailedAttempt {
  readonly kind: FailKind;
  readonly failure: Failure;
  readonly inferenceMs: number | null;
  readonly retryAfterMs?: number;
  readonly retries?: RetryPolicy;
}

/** One attempt is spent; the request goes back to the queue while its kind of failure has tries left. One that has none left is a dead letter. */
function failed(state: RequestState, event: FailedAttempt, now: number): Transition {
  const crash = event.kind === "crash";
  const spent = { ...state, attempts: state.attempts + 1, crashes: state.crashes + (crash ? 1 : 0) };
  const tried = crash ? state.crashes : state.attempts - state.crashes;
  const { crashes, errors, delayMs } = event.retries ?? DEFAULT_RETRIES;
  const isFinal = event.kind === "error";
  if (!isFinal && tried < (crash ? crashes : errors)) {
    const delay = event.retryAfterMs ?? Math.min(delayMs * DELAY_GROWS_BY ** tried, LONGEST_DELAY_MS);
    return back(state, { ...spent, notBefore: now + delay }, event.failure, now);
  }
  const { failure, inferenceMs } = event;
  const deadLetter = isFinal ? null : "open";
  return to({ ...ended(spent, now), status: "FAILED", failure, inferenceMs, deadLetter });
}

/** From a lease back to the queue. */
function back(from: RequestState, to: RequestState, failure: Failure | null, now: number): Transition {
  const past = { attempt: from.leases, worker: from.lease!.worker, startedAt: from.startedAt!, endedAt: now, failure };
  return { ok: true, state: { ...to, status: "QUEUED", lease: null }, past };
}

function ended(state: RequestState, now: number): RequestState {
  return { ...state, lease: null, finishedAt: now };
}

function to(state: RequestState): Transition {
  return { ok: true, state };
}

function refuse(refusal: Refusal): Transition {
  return { ok: false, refusal };
}
