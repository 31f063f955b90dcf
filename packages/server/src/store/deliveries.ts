/**
 * The contract of the deliveries' store: webhooks to be sent. A delivery is made by the write that ends its
 * request (settle, finish, sweep) and by nothing else, in the same atomic write; it holds all that is to be told,
 * so that it outlives the request. There is one for each request at most, and its event's id is the request's.
 */
import type { Failure, Result, Status, Webhook, WebhookEvent } from "../core/request.ts";

/** How a request ended: all that a webhook can tell of it. */
export interface Outcome {
  readonly model: string;
  readonly status: Extract<Status, "COMPLETED" | "FAILED">;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number;
  readonly inferenceMs: number | null;
  readonly result: Result | null;
  /** Of one that expired without an outcome: code `expired`. */
  readonly failure: Failure | null;
}

/** `failed`: it was given up. */
export type DeliveryState = "pending" | "delivered" | "failed";

/** One try to send it. */
export interface DeliveryAttempt {
  /** Milliseconds since the epoch, as all times here. */
  readonly at: number;
  /** How long it took, ms. */
  readonly tookMs: number;
  /** HTTP status of the answer; null where none came. */
  readonly status: number | null;
  /** Why it counts as failed, a sentence; null where it was delivered. */
  readonly error: string | null;
}

/** As lists show it. */
export interface ListedDelivery {
  /** The request that it tells of. */
  readonly id: string;
  readonly owner: string;
  readonly event: WebhookEvent;
  readonly url: string;
  readonly createdAt: number;
  readonly state: DeliveryState;
  /** Number of tries so far, redeliveries included. */
  readonly tries: number;
  /** Not sent before; null unless pending. */
  readonly dueAt: number | null;
  /** The latest tries in their order, at most as many as the store keeps. */
  readonly attempts: readonly DeliveryAttempt[];
}

/** The whole delivery. */
export interface Delivery extends ListedDelivery {
  /** When it was made, or asked for again: it is tried for so long from then on. */
  readonly askedAt: number;
  readonly body: Webhook["body"];
  /** Origin for the URLs in it. */
  readonly base: string;
  readonly outcome: Outcome;
}

/** What became of a try. */
export type DeliveryMark =
  | { readonly type: "delivered"; readonly attempt: DeliveryAttempt }
  /** Tried again at `dueAt`. */
  | { readonly type: "retry"; readonly attempt: DeliveryAttempt; readonly dueAt: number }
  /** Given up. */
  | { readonly type: "failed"; readonly attempt: DeliveryAttempt };

export interface DeliveryWish {
  readonly owner: string;
  readonly state?: DeliveryState;
  /** Only those whose ids sort before this one: `next` of the page before. */
  readonly before?: string;
  readonly limit: number;
}

export interface DeliveryPage {
  /** Those of the newest requests first. */
  readonly deliveries: readonly ListedDelivery[];
  readonly next: string | null;
}

/** How many deliveries were given up, and how many that had been were deleted. */
export interface GaveUp {
  readonly givenUp: number;
  readonly forgotten: number;
}

export interface DeliveryStore {
  /** Hosts (`URL.host`) that have a delivery due at `now`, in their order behind `after` (null: from the first), at most `limit`. */
  dueHosts(now: number, after: string | null, limit: number): Promise<readonly string[]>;
  /** Deliveries to `host` that are due at `now`, those due longest first. */
  due(host: string, now: number, limit: number): Promise<readonly Delivery[]>;
  get(id: string): Promise<Delivery | undefined>;
  list(wish: DeliveryWish): Promise<DeliveryPage>;
  /**
   * Writes what became of a try. False: it is not pending (any more), and nothing was written. One that was
   * asked for again after the try began stays due, unless it was delivered. One that was delivered is deleted
   * with its request, at once if that is gone.
   */
  mark(id: string, mark: DeliveryMark): Promise<boolean>;
  /**
   * Gives up what was made before `madeBefore` and is pending still, and deletes what was given up and made before
   * `forgetBefore`; at most `limit` of each, the oldest. What was asked for again counts from then.
   */
  giveUp(madeBefore: number, forgetBefore: number, limit: number): Promise<GaveUp>;
  /** Makes a delivery due now, whatever became of it before, with the same event id. False: there is none. */
  redeliver(id: string): Promise<boolean>;
  /** How many are pending; synchronous. */
  readonly pending: number;
  /** Calls `listener` when a delivery was made or asked for again; a latency hint. Returns what stops it. */
  onDue(listener: (id: string, host: string) => void): () => void;
}
