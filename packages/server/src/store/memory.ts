import type { Clock } from "../core/clock.ts";
import { InferqError, sentence } from "../core/errors.ts";
import { randomToken } from "../core/ids.ts";
import { isFinished, queuedState } from "../core/request.ts";
import type { PastAttempt, Request, Status, Submission } from "../core/request.ts";
import { EXPIRED, transition } from "../core/transition.ts";
import type { RequestEvent, RetryPolicy, Transition } from "../core/transition.ts";
import { LoadCount } from "./load-count.ts";
import { memoryDeliveries } from "./memory-deliveries.ts";
import { MemoryEventLog } from "./memory-event-log.ts";
import { byId, deadLettersOf, isUnfinished, laneOf, type Row, toListed, toStatus } from "./memory-rows.ts";
import type {
  DeadLetterPage,
  DeadLetterWish,
  EnqueueAnswer,
  Finish,
  Lease,
  LeaseWish,
  ListWish,
  ModelDepth,
  Outlook,
  RequestPage,
  RequestStatus,
  SettleAnswer,
  Settlement,
  StoreDriver,
  StoreStats,
  Swept,
  Wake,
} from "./store.ts";

/** Of so many leases of a model one is its oldest request's. */
const OLDEST_EVERY = 8;

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** How often requests of a model are tried again; `DEFAULT_RETRIES` where it says nothing. */
  readonly retriesOf?: (model: string) => RetryPolicy | undefined;
}

/** The reference: a map and a sort. Durable until the process ends; every other driver must agree with it. */
export function memoryStore({ clock, retriesOf }: MemoryStoreOptions): StoreDriver {
  const rows = new Map<string, Row>();
  const events = new MemoryEventLog(clock);
  const listeners = new Set<(wake: Wake) => void>();
  /** Model → leases so far. */
  const leasesOf = new Map<string, number>();
  /** Model, priority and key → the number of its latest lease. */
  const turns = new Map<string, number>();
  const load = new LoadCount();
  let onDeadLetter: ((request: RequestStatus) => void) | undefined;
  const untold: RequestStatus[] = [];
  let disposed = false;
  const deliveries = memoryDeliveries({ clock, lives: (id) => live(id, clock.now()) !== undefined, open });

  /** The request goes from one state to another; none: it is not there. */
  function count(request: Request, from: Status | undefined, to: Status | undefined): void {
    const waiting = Number(to === "QUEUED") - Number(from === "QUEUED");
    load.waiting += waiting;
    load.modelCounter(request.model).count += waiting;
    load.keyCounter(request.key).count += Number(isUnfinished(to)) - Number(isUnfinished(from));
  }

  /** The row has changed: whoever waits for that is told. */
  function changed({ id, model, status, lease, leases }: Request): void {
    if (lease === null) events.ended(id);
    else events.leased(id, lease.token, leases);
    if (isFinished(status)) return tell({ type: "finished", id });
    if (status === "QUEUED") tell({ type: "queued", model });
    tell({ type: "changed", id });
  }

  function tell(hint: Wake): void {
    for (const listener of listeners) listener(hint);
  }

  /** The row, unless its request has expired. */
  function live(id: string, now: number): Row | undefined {
    const row = rows.get(id);
    return row === undefined || row.request.expiresAt <= now ? undefined : row;
  }

  function apply(row: Row, event: RequestEvent, now: number): Transition {
    const next = transition(row.request, withPolicy(event, row.request.model), now);
    if (next.ok) {
      count(row.request, row.request.status, next.state.status);
      row.request = { ...row.request, ...next.state };
      if (next.past) row.past.push(next.past);
      if (isFinished(row.request.status)) deliveries.made(row.request);
      if (event.type !== "heartbeat") changed(row.request);
      if (row.request.deadLetter !== null) tellDead(toStatus(row.request));
    }
    return next;
  }

  function withPolicy(event: RequestEvent, model: string): RequestEvent {
    const retries = retriesOf?.(model);
    if (retries === undefined || (event.type !== "fail" && event.type !== "lost")) return event;
    return { ...event, retries };
  }

  function tellDead(request: RequestStatus): void {
    if (onDeadLetter === undefined) untold.push(request);
    else onDeadLetter(request);
  }

  /** As `apply`, for an event that is known to be allowed; answers the request's id. */
  function applied(row: Row, event: RequestEvent, now: number): string {
    apply(row, event, now);
    return row.request.id;
  }

  function remove(id: string): boolean {
    const row = rows.get(id);
    if (row === undefined) return false;
    rows.delete(id);
    deliveries.removed(id);
    events.gone(id);
    count(row.request, row.request.status, undefined);
    tell({ type: "finished", id });
    return true;
  }

  function turnOf(lane: string): number {
    return turns.get(lane) ?? 0;
  }

  function byTurn(a: Row, b: Row): number {
    return b.request.priority - a.request.priority || turnOf(laneOf(a.request)) - turnOf(laneOf(b.request));
  }

  /** The first in the order of leases: by priority, then by the turns of the keys; or by age alone. */
  function takeFirst(waiting: Row[], model: string): Row {
    const leases = (leasesOf.get(model) ?? 0) + 1;
    leasesOf.set(model, leases);
    waiting.sort((a, b) => (leases % OLDEST_EVERY === 0 ? 0 : byTurn(a, b)) || byId(a, b));
    const first = waiting.shift()!;
    turns.set(laneOf(first.request), leases);
    return first;
  }

  /** At most how many of those that came before it are leased up to this one, itself included. */
  function rank(row: Row, now: number): number {
    const { model, priority } = row.request;
    const ahead = [...rows.values()]
      .filter((other) => other.request.status === "QUEUED" && other.request.expiresAt > now && byId(other, row) < 0)
      .filter(({ request }) => request.model === model && request.priority >= priority);
    const higher = ahead.filter(({ request }) => request.priority > priority).length;
    const lanes = new Map<string, number>();
    for (const { request } of ahead) {
      if (request.priority === priority) lanes.set(laneOf(request), (lanes.get(laneOf(request)) ?? 0) + 1);
    }
    const own = laneOf(row.request);
    const place = (lanes.get(own) ?? 0) + 1;
    lanes.delete(own);
    let sum = higher + place;
    for (const [lane, waiting] of lanes) {
      sum += Math.min(waiting, turnOf(lane) > turnOf(own) ? place - 1 : place);
    }
    return sum;
  }

  function open(): void {
    if (disposed) throw new InferqError("shutting_down");
  }

  return {
    load,
    deliveries: deliveries.store,
    events,

    async enqueue(submission: Submission): Promise<EnqueueAnswer> {
      open();
      const { id, owner, idempotencyKey } = submission;
      if (rows.has(id)) throw new Error(`The request id ${id} is taken.`);
      const now = clock.now();
      const first = [...rows.values()].find(
        ({ request }) =>
          idempotencyKey !== null &&
          request.idempotencyKey === idempotencyKey &&
          request.owner === owner &&
          request.expiresAt > now,
      )?.request;
      if (first !== undefined) return { ok: false, id: first.id, idempotencyDigest: first.idempotencyDigest! };
      const request = { ...submission, ...queuedState(submission) };
      rows.set(id, { request, hasFiles: submission.hasFiles, past: [], told: Infinity });
      count(request, undefined, request.status);
      const old = submission.retryOf === null ? undefined : rows.get(submission.retryOf);
      if (old?.request.deadLetter === "open") old.request = { ...old.request, deadLetter: "replayed" };
      tell({ type: "queued", model: submission.model });
      return { ok: true };
    },

    status(id: string): RequestStatus | undefined {
      const row = live(id, clock.now());
      if (row === undefined) return undefined;
      return toStatus(row.request);
    },

    async get(id: string): Promise<Request | undefined> {
      return live(id, clock.now())?.request;
    },

    async list(wish: ListWish): Promise<RequestPage> {
      const { owner, status, model, since = -Infinity, until = Infinity, idempotencyKey, before, limit } = wish;
      const now = clock.now();
      const found = [...rows.values()]
        .map(({ request }) => request)
        .filter((request) => request.owner === owner && request.expiresAt > now)
        .filter((request) => status === undefined || request.status === status)
        .filter((request) => model === undefined || request.model === model)
        .filter((request) => request.createdAt >= since && request.createdAt < until)
        .filter((request) => idempotencyKey === undefined || request.idempotencyKey === idempotencyKey)
        .filter((request) => before === undefined || request.id < before)
        .sort((a, b) => (a.id > b.id ? -1 : 1));
      const requests = found.slice(0, limit).map(toListed);
      return { requests, next: found.length > limit ? requests.at(-1)!.id : null };
    },

    async deadLetters(wish: DeadLetterWish): Promise<DeadLetterPage> {
      return deadLettersOf(rows.values(), wish, clock.now());
    },

    async pastAttempts(id: string): Promise<readonly PastAttempt[]> {
      return live(id, clock.now())?.past ?? [];
    },

    outlook(id: string): Outlook | undefined {
      const now = clock.now();
      const row = live(id, now);
      if (row === undefined || row.request.finishedAt !== null) return undefined;
      if (row.request.status === "PROCESSING") return { position: null, delayed: false, remainingMs: null };
      row.told = Math.min(row.told, rank(row, now));
      return { position: row.told, delayed: row.request.notBefore > now, remainingMs: null };
    },

    async lease({ worker, capacity, leaseMs }: LeaseWish): Promise<Lease[]> {
      open();
      const now = clock.now();
      const taken: Lease[] = [];
      for (const [model, most] of capacity) {
        const waiting = [...rows.values()]
          .filter(({ request }) => request.model === model && request.status === "QUEUED")
          .filter(({ request }) => request.notBefore <= now && request.expiresAt > now)
          .filter(({ request }) => request.leases > 0 || (request.startDeadline ?? Infinity) > now);
        for (let left = Math.min(most, waiting.length); left > 0; left--) {
          const row = takeFirst(waiting, model);
          const token = randomToken();
          const deadline = now + leaseMs;
          apply(row, { type: "lease", token, worker, deadline }, now);
          const { id, owner, input, leases: attempt, crashes, runTimeoutMs, createdAt, expiresAt } = row.request;
          taken.push({
            id,
            model,
            owner,
            input,
            attempt,
            crashes,
            token,
            runTimeoutMs,
            createdAt,
            expiresAt,
            deadline,
          });
        }
      }
      return taken;
    },

    async heartbeat(leases, leaseMs: number): Promise<string[]> {
      open();
      const now = clock.now();
      return leases
        .filter(({ id, token }) => {
          const row = live(id, now);
          return row === undefined || !apply(row, { type: "heartbeat", token, deadline: now + leaseMs }, now).ok;
        })
        .map(({ token }) => token);
    },

    async settle(id: string, token: string, settlement: Settlement): Promise<SettleAnswer> {
      open();
      const now = clock.now();
      const row = live(id, now);
      if (row === undefined) return { ok: false, refusal: "unknown" };
      const next = apply(row, { ...settlement, token }, now);
      if (!next.ok) return next;
      if (settlement.type === "complete" && settlement.hasFiles) row.hasFiles = true;
      return { ok: true, status: next.state.status };
    },

    async finish(id: string, finish: Finish): Promise<boolean> {
      open();
      const now = clock.now();
      if (finish.type === "expire") {
        const request = rows.get(id)?.request;
        if (request === undefined || request.expiresAt > now) return false;
        if (!isFinished(request.status)) {
          deliveries.made({ ...request, status: "FAILED", finishedAt: now, failure: EXPIRED });
        }
        return remove(id);
      }
      const row = live(id, now);
      if (row === undefined) return false;
      return finish.type === "delete" ? remove(id) : apply(row, finish, now).ok;
    },

    async expireBy(id: string, at: number): Promise<boolean> {
      open();
      const row = live(id, clock.now());
      if (row === undefined) return false;
      row.request = { ...row.request, expiresAt: Math.min(row.request.expiresAt, at) };
      return true;
    },

    async sweep(limit: number): Promise<Swept> {
      open();
      const now = clock.now();
      const live = [...rows.values()].filter(({ request }) => request.expiresAt > now);
      const failure = { code: "start_timeout", message: sentence("start_timeout") } as const;
      const lost = live
        .filter(({ request }) => request.lease !== null && request.lease.deadline <= now)
        .map((row) => applied(row, { type: "lost" }, now));
      const startTimedOut = live
        .filter(
          ({ request }) =>
            (request.startDeadline ?? Infinity) <= now && request.leases === 0 && request.status === "QUEUED",
        )
        .sort((a, b) => a.request.startDeadline! - b.request.startDeadline! || byId(a, b))
        .slice(0, limit)
        .map((row) => applied(row, { type: "startTimeout", failure }, now));
      const expired = [...rows.values()]
        .filter(({ request }) => request.expiresAt <= now)
        .sort((a, b) => a.request.expiresAt - b.request.expiresAt || byId(a, b))
        .slice(0, limit)
        .map(({ request: { id, owner, model, status }, hasFiles }) => ({ id, owner, model, status, hasFiles }));
      return { lost, startTimedOut, expired };
    },

    stats(): StoreStats {
      const now = clock.now();
      const models = new Map<string, ModelDepth>();
      for (const { request } of rows.values()) {
        if (request.expiresAt <= now || request.finishedAt !== null) continue;
        const depth = models.get(request.model) ?? { queued: 0, processing: 0, oldestCreatedAt: null };
        const queued = request.status === "QUEUED";
        models.set(request.model, {
          queued: depth.queued + Number(queued),
          processing: depth.processing + Number(!queued),
          oldestCreatedAt: queued
            ? Math.min(request.createdAt, depth.oldestCreatedAt ?? Infinity)
            : depth.oldestCreatedAt,
        });
      }
      return { models, bytes: 0, commitMs: [], syncMs: [] };
    },

    onWake(listener: (wake: Wake) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    onDeadLetter(listener: (request: RequestStatus) => void): void {
      onDeadLetter = listener;
      for (const request of untold.splice(0)) listener(request);
    },

    async [Symbol.asyncDispose](): Promise<void> {
      disposed = true;
    },
  };
}
