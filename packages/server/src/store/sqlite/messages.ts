/**
 * What passes between the store and its writer thread: a batch of operations there, one answer for
 * each back, after COMMIT. Arrays, not objects: their field names are not copied with every one.
 */
import type { ErrorCode } from "../../core/errors.ts";
import type { DeadLetterState, RequestState, Status, Submission } from "../../core/request.ts";
import type { FailKind, Refusal, RetryPolicy } from "../../core/transition.ts";
import type { DeliveryMark, GaveUp } from "../deliveries.ts";
import type { Settlement } from "../store.ts";
import type { DeliveryNews } from "./delivery-rows.ts";

/** Status as rows and index hold it: the place in this list. */
export const STATUSES: readonly Status[] = ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"];
export const QUEUED = 0;
export const PROCESSING = 1;
export const COMPLETED = 2;

/** The column `dead_letter`: the place in this list. */
export const DEAD_LETTER_STATES: readonly (DeadLetterState | null)[] = [null, "open", "replayed"];

/** Bits of the column `files`. */
export const INPUT_FILES = 1;
export const ARTIFACTS = 2;

export const ENQUEUE = 0;
export const LEASE = 1;
export const HEARTBEAT = 2;
export const COMPLETE = 3;
export const FAIL = 4;
export const RELEASE = 5;
export const LOST = 6;
export const CANCEL = 7;
export const START_TIMEOUT = 8;
export const DELETE = 9;
export const EXPIRE = 10;
export const EXPIRE_BY = 11;
export const VACUUM = 12;
export const MARK = 13;
export const GIVE_UP = 14;
export const REDELIVER = 15;
export const CATCH_UP = 16;

export type MarkType = DeliveryMark["type"];

/** Every operation on a request or its delivery is its kind, its id, the time it was called, and what it brings. */
export type Operation =
  | readonly [
      kind: typeof ENQUEUE,
      id: string,
      now: number,
      model: string,
      owner: string,
      json: string | null,
      key: string | null,
      files: number,
      priority: number,
      createdAt: number,
      notBefore: number,
      startDeadline: number | null,
      expiresAt: number,
      idempotencyKey: string | null,
      idempotencyDigest: string | null,
      webhook: string | null,
      publicBase: string | null,
      runTimeoutMs: number | null,
      keepMs: number | null,
      retryOf: string | null,
      apiKey: string,
    ]
  | readonly [
      kind: typeof LEASE,
      id: string,
      now: number,
      token: string,
      worker: string,
      deadline: number,
      attempt: number,
    ]
  | readonly [kind: typeof HEARTBEAT, id: string, now: number, token: string, deadline: number]
  | readonly [
      kind: typeof COMPLETE,
      id: string,
      now: number,
      token: string,
      result: string,
      inferenceMs: number,
      files: number,
    ]
  | readonly [
      kind: typeof FAIL,
      id: string,
      now: number,
      token: string,
      failKind: FailKind,
      code: ErrorCode,
      message: string,
      inferenceMs: number,
      retryAfterMs: number | null,
      retries: RetryPolicy,
    ]
  | readonly [kind: typeof RELEASE, id: string, now: number, token: string]
  | readonly [kind: typeof LOST, id: string, now: number, deadlineUntil: number, retries: RetryPolicy]
  | readonly [kind: typeof CANCEL, id: string, now: number, code: ErrorCode, message: string]
  | readonly [kind: typeof START_TIMEOUT, id: string, now: number, message: string]
  | readonly [kind: typeof DELETE | typeof EXPIRE, id: string, now: number]
  | readonly [kind: typeof EXPIRE_BY, id: string, now: number, at: number]
  | readonly [kind: typeof VACUUM, id: "", now: number, pages: number]
  | readonly [kind: typeof CATCH_UP, id: "", now: number]
  | readonly [
      kind: typeof MARK,
      id: string,
      now: number,
      type: MarkType,
      dueAt: number | null,
      at: number,
      tookMs: number,
      status: number | null,
      error: string | null,
    ]
  | readonly [kind: typeof GIVE_UP, id: "", now: number, madeBefore: number, forgetBefore: number, limit: number]
  | readonly [kind: typeof REDELIVER, id: string, now: number];

export type LeaseOperation = Extract<Operation, readonly [typeof LEASE, ...unknown[]]>;

/** The state after an operation, where it does not follow from the operation itself. */
export type StateTuple = readonly [
  status: number,
  leases: number,
  notBefore: number,
  leaseDeadline: number | null,
  startedAt: number | null,
  finishedAt: number | null,
  inferenceMs: number | null,
  code: ErrorCode | null,
  message: string | null,
  /** Whether the operation made it a dead letter. */
  isDead: boolean,
];

/** The live request that has an idempotency key. */
export interface KeyHolder {
  readonly id: string;
  readonly idempotencyDigest: string;
}

/**
 * `true`: done as asked. Numbers of deliveries: done to so many. A tuple: done, and this is the state now. A refusal. The request that has the
 * idempotency key already: nothing was enqueued. Or `error`: it threw, and changed nothing.
 */
export type Answer = true | GaveUp | StateTuple | Refusal | "unknown" | KeyHolder | { readonly error: string };

export function isTuple(answer: Answer): answer is StateTuple {
  return Array.isArray(answer);
}

export function toTuple(state: RequestState): StateTuple {
  return [
    STATUSES.indexOf(state.status),
    state.leases,
    state.notBefore,
    state.lease?.deadline ?? null,
    state.startedAt,
    state.finishedAt,
    state.inferenceMs,
    state.failure?.code ?? null,
    state.failure?.message ?? null,
    state.deadLetter !== null,
  ];
}

export function enqueueOperation(s: Submission, now: number): Operation {
  const { json = null, key = null } = s.input as { json?: string; key?: string };
  const files = s.hasFiles ? INPUT_FILES : 0;
  const webhook = s.webhook && JSON.stringify(s.webhook);
  // prettier-ignore
  return [
    ENQUEUE, s.id, now, s.model, s.owner, json, key, files, s.priority, s.createdAt, s.notBefore, s.startDeadline,
    s.expiresAt, s.idempotencyKey, s.idempotencyDigest, webhook, s.publicBase, s.runTimeoutMs, s.keepMs, s.retryOf, s.key,
  ];
}

/** The operation that ends a lease; `retries` is asked for where a failure has to be judged. */
export function settleOperation(
  id: string,
  token: string,
  settlement: Settlement,
  now: number,
  retries: () => RetryPolicy,
): Operation {
  switch (settlement.type) {
    case "complete": {
      const { result, inferenceMs, hasFiles } = settlement;
      return [COMPLETE, id, now, token, JSON.stringify(result), inferenceMs, hasFiles ? ARTIFACTS : 0];
    }
    case "fail": {
      const { kind, failure, inferenceMs, retryAfterMs } = settlement;
      const { code, message } = failure;
      return [FAIL, id, now, token, kind, code, message, inferenceMs, retryAfterMs ?? null, retries()];
    }
    case "release":
      return [RELEASE, id, now, token];
  }
}

export type ToWriter =
  | { readonly type: "batch"; readonly operations: readonly Operation[] }
  | { readonly type: "close"; readonly clean: boolean };

/** `failed`: nothing of the batch has happened; the writer waits for `close` and ends. */
export type FromWriter =
  | { readonly type: "opened"; readonly unclean: boolean; readonly deliveries: DeliveryNews }
  | { readonly type: "refused"; readonly error: string }
  | {
      readonly type: "committed";
      readonly answers: readonly Answer[];
      readonly deliveries: DeliveryNews;
      /** The whole transaction, and of it the COMMIT alone: the log is written and synced there, now and then copied. */
      readonly commitMs: number;
      readonly syncMs: number;
    }
  | { readonly type: "failed"; readonly error: string };
