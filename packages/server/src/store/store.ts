/**
 * The contract of the queue's store. Drivers (memory, sqlite) hold no logging, metrics or
 * validation; `src/telemetry` wraps them once. `src/testing` exports the suite that each must pass.
 */
import type {
  DeadLetterState,
  Failure,
  PastAttempt,
  Priority,
  Request,
  Result,
  Status,
  StoredInput,
  Submission,
} from "../core/request.ts";
import type { FailKind, Refusal } from "../core/transition.ts";
import type { DeliveryStore } from "./deliveries.ts";
import type { EventLog } from "./events.ts";

/** The light view that answers a status poll; costs no read of input or result. */
export interface RequestStatus {
  readonly id: string;
  readonly owner: string;
  readonly model: string;
  readonly status: Status;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly inferenceMs: number | null;
  /** Number of leases so far: the winning attempt's number once COMPLETED. */
  readonly leases: number;
  readonly failure: Failure | null;
  /** From then on it does not exist, and neither do its files. */
  readonly expiresAt: number;
}

/** `ok` false: a live request of the same owner has the idempotency key, and nothing was added. */
export type EnqueueAnswer =
  | { readonly ok: true }
  | { readonly ok: false; readonly id: string; readonly idempotencyDigest: string };

/** Which requests of one owner are asked for; every filter that is given must match. */
export interface ListWish {
  readonly owner: string;
  readonly status?: Status;
  readonly model?: string;
  /** Created at this time or later, ms. */
  readonly since?: number;
  /** Created before this time, ms. */
  readonly until?: number;
  readonly idempotencyKey?: string;
  /** Only those whose ids sort before this one: `next` of the page before. */
  readonly before?: string;
  /** How many at most. */
  readonly limit: number;
}

/** A request as lists show it. */
export interface ListedRequest extends RequestStatus {
  readonly priority: Priority;
  readonly idempotencyKey: string | null;
  readonly retryOf: string | null;
}

export interface RequestPage {
  /** The newest first. Fewer than asked for, even none, where the driver has looked at as many rows as it does at once. */
  readonly requests: readonly ListedRequest[];
  /** Where to go on (`before`), or null when there are no more. */
  readonly next: string | null;
}

/** Which dead letters are asked for; every filter that is given must match. */
export interface DeadLetterWish {
  readonly owner?: string;
  readonly model?: string;
  readonly state?: DeadLetterState;
  /** Only those whose ids sort before this one: `next` of the page before. */
  readonly before?: string;
  /** How many at most. */
  readonly limit: number;
}

/** A request that used up its attempts, as lists show it. */
export interface DeadLetter extends RequestStatus {
  readonly key: string;
  readonly attempts: number;
  readonly crashes: number;
  readonly state: DeadLetterState;
}

export interface DeadLetterPage {
  /** The newest request first. Fewer than asked for, even none, where the driver has looked at as many as it does at once. */
  readonly deadLetters: readonly DeadLetter[];
  /** Where to go on (`before`), or null when there are no more. */
  readonly next: string | null;
}

/** What can be told of an unfinished request's way, at no cost. */
export interface Outlook {
  /**
   * QUEUED: at most how many of the requests that now wait will be leased up to this one, itself included:
   * all that have a higher priority, and of its own as many of each other key as of its own. Not counted
   * is whoever comes later, though it may be leased before if its priority is higher or its key another;
   * nor what every eighth lease takes out of turn. Of one whose time has not come, as if it had. Never more
   * than was told before: whoever comes back for another try is not counted anew. Null where that is not
   * known.
   */
  readonly position: number | null;
  /** It waits for the time of its next try. */
  readonly delayed: boolean;
  /** Between which times from now, ms, it will probably have its outcome; null until enough runs of its model were seen. */
  readonly remainingMs: readonly [low: number, high: number] | null;
}

/** One request handed to a worker. */
export interface Lease {
  readonly id: string;
  readonly model: string;
  readonly owner: string;
  readonly input: StoredInput;
  /** Number of this lease, from 1. */
  readonly attempt: number;
  /** Attempts before this one that were lost to a crash of the runner or a worker that went silent. */
  readonly crashes: number;
  readonly token: string;
  /** Longest run, ms, where the client asked for less than the model's own limit. */
  readonly runTimeoutMs: number | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly deadline: number;
}

export interface LeaseWish {
  /** Who asks; for people who look. */
  readonly worker: string;
  /** Model → how many requests of it at most. */
  readonly capacity: ReadonlyMap<string, number>;
  /** How long the leases are to hold without a heartbeat, ms. */
  readonly leaseMs: number;
  /** Resolve only when the leases are durable: after an unclean start, so that a request that takes the host down cannot do so for ever. */
  readonly durable: boolean;
}

/** The write that ends a lease. */
export type Settlement =
  | { readonly type: "complete"; readonly result: Result; readonly inferenceMs: number; readonly hasFiles: boolean }
  | {
      readonly type: "fail";
      readonly kind: FailKind;
      readonly failure: Failure;
      readonly inferenceMs: number;
      readonly retryAfterMs?: number;
    }
  | { readonly type: "release" };

/** `status` is the state after the write. */
export type SettleAnswer =
  | { readonly ok: true; readonly status: Status }
  | { readonly ok: false; readonly refusal: Refusal | "unknown" };

/** Ends a request from outside a lease. `cancel` leaves it FAILED; `delete` and `expire` remove the rows (files go first). `expire` is refused before `expiresAt`. */
export type Finish =
  | { readonly type: "cancel"; readonly failure: Failure }
  | { readonly type: "delete" }
  | { readonly type: "expire" };

export interface Swept {
  /** Ids, in no order, of the requests whose leases ran out: they went back to the queue or failed for good. */
  readonly lost: readonly string[];
  /** Ids of the requests that no worker leased before their start deadline, at most the limit asked for. */
  readonly startTimedOut: readonly string[];
  /** Expired requests whose rows still stand, at most the limit asked for: delete their files, then `finish` them. */
  readonly expired: readonly ExpiredRequest[];
}

/** What is still known of an expired request, which every other read denies. */
export interface ExpiredRequest {
  readonly id: string;
  readonly owner: string;
  readonly model: string;
  /** As it was when it expired: unfinished, it had no outcome. */
  readonly status: Status;
  readonly hasFiles: boolean;
}

export interface ModelDepth {
  readonly queued: number;
  readonly processing: number;
  /** `createdAt` of the request that has waited longest, or null. */
  readonly oldestCreatedAt: number | null;
}

export interface StoreStats {
  readonly models: ReadonlyMap<string, ModelDepth>;
  /** Bytes on disk: database, write-ahead log. */
  readonly bytes: number;
  /** Ring of the latest commits' durations in ms since the last call; empty where there are none. */
  readonly commitMs: readonly number[];
  /** Of the same commits the share that made them durable, ms; empty where the driver cannot tell. */
  readonly syncMs: readonly number[];
}

/**
 * How many requests are unfinished, by what limits count; synchronous and O(1). What is being written is
 * not counted yet, and what has expired is until its rows are removed. While a driver reads its file, after
 * a start or a failed commit, it counts what it has read: limits guard, and would rather let some more in
 * for these seconds than refuse everybody.
 */
export interface Load {
  /** Of all models. */
  readonly waiting: number;
  waitingFor(model: string): number;
  /** Waiting and running, of those that came with this key. */
  unfinishedOf(key: string): number;
  /** While the driver still reads in what it holds, so that it counts too few: resolves when it has. Else undefined. */
  readonly counting: Promise<void> | undefined;
}

/**
 * A latency hint, never the truth: whoever gets none must find out by polling. `changed`: it was leased, or went
 * back to the queue. `finished`: it has an outcome, or is gone.
 */
export type Wake =
  | { readonly type: "queued"; readonly model: string }
  | { readonly type: "changed"; readonly id: string }
  | { readonly type: "finished"; readonly id: string };

/**
 * The requests and their queue. Every answer about a write means that it is durable.
 * A write that cannot be made durable rejects with `InferqError` `store_unavailable` and has
 * happened not at all. Expired requests are absent from every read, swept or not.
 */
export interface RequestStore extends AsyncDisposable {
  /** Adds a request as QUEUED, unless its idempotency key is in use. A dead letter that it is a retry of is replayed from then on. Rejects if the id is taken. */
  enqueue(submission: Submission): Promise<EnqueueAnswer>;
  /** The light view; synchronous where the driver holds it in memory, for status polls are the hot path. */
  status(id: string): RequestStatus | undefined | Promise<RequestStatus | undefined>;
  /** The whole request. */
  get(id: string): Promise<Request | undefined>;
  /** The owner's requests. */
  list(wish: ListWish): Promise<RequestPage>;
  /** Dead letters of all owners, or of one. */
  deadLetters(wish: DeadLetterWish): Promise<DeadLetterPage>;
  /** The attempts of a request that ended without an outcome, in their order; none where there is no such request. */
  pastAttempts(id: string): Promise<readonly PastAttempt[]>;
  /** The same object for the store's whole life. Absent where the driver cannot tell. */
  readonly load?: Load;
  /** Synchronous, and O(1) however many wait. Undefined where the request is not unfinished, or the driver cannot tell. */
  outlook?(id: string): Outlook | undefined;
  /**
   * Leases waiting requests, by model the highest priority first. Within one priority the keys have their
   * turns: next is the key that was leased from least recently, of those never leased from the one with the
   * oldest request; and of a key its oldest request. Turns are of one model and one priority, and last as
   * long as the process. But every eighth lease of a model is its oldest request's, whatever its priority
   * and key, so that nobody waits for ever. One whose start deadline has passed before its first lease is
   * left to the sweep.
   */
  lease(wish: LeaseWish): Promise<Lease[]>;
  /** Extends leases to now + `leaseMs`. Answers the tokens that no longer hold: stop those runs. */
  heartbeat(leases: readonly { readonly id: string; readonly token: string }[], leaseMs: number): Promise<string[]>;
  /** Ends a lease. A token that no longer holds changes nothing, and that is an ordinary answer. */
  settle(id: string, token: string, settlement: Settlement): Promise<SettleAnswer>;
  /** Ends a request from outside. Answers false if there is none or the event is not allowed in its state. */
  finish(id: string, finish: Finish): Promise<boolean>;
  /** Lets a request expire at `at`, unless it does so earlier anyway. Answers false if there is none. */
  expireBy(id: string, at: number): Promise<boolean>;
  /** Returns lost leases to the queue, fails what waited too long, and names up to `limit` expired requests. */
  sweep(limit: number): Promise<Swept>;
  stats(): StoreStats;
  /** Calls `listener` on changes others may wait for; returns the function that stops it. */
  onWake?(listener: (wake: Wake) => void): () => void;
  /** Tells `listener`, the only one, of every new dead letter, those since the store was opened included. */
  onDeadLetter?(listener: (request: RequestStatus) => void): void;
}

/** What a driver opens: the stores that share its transaction. Closing it closes all of them. */
export interface StoreDriver extends RequestStore {
  readonly deliveries: DeliveryStore;
  readonly events: EventLog;
}
