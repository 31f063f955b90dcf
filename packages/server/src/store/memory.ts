import type { Clock } from "../core/clock.ts";
import { InferqError, sentence } from "../core/errors.ts";
import { randomToken } from "../core/ids.ts";
import { queuedState } from "../core/request.ts";
import type { Request, Submission } from "../core/request.ts";
import { transition } from "../core/transition.ts";
import type { RequestEvent, Transition } from "../core/transition.ts";
import type {
  Finish,
  Lease,
  LeaseWish,
  ModelDepth,
  RequestStatus,
  RequestStore,
  SettleAnswer,
  Settlement,
  StoreStats,
  Swept,
  Wake,
} from "./store.ts";

interface Row {
  request: Request;
  /** Whether files lie under any of the request's prefixes, not only under its inputs'. */
  hasFiles: boolean;
}

/** The reference: a map and a sort. Durable until the process ends; every other driver must agree with it. */
export function memoryStore({ clock }: { readonly clock: Clock }): RequestStore {
  const rows = new Map<string, Row>();
  const listeners = new Set<(wake: Wake) => void>();
  let disposed = false;

  function wake(request: Request): void {
    const finished = request.status === "COMPLETED" || request.status === "FAILED";
    const hint: Wake = finished ? { type: "finished", id: request.id } : { type: "queued", model: request.model };
    if (request.status !== "PROCESSING") for (const listener of listeners) listener(hint);
  }

  /** The row, unless its request has expired. */
  function live(id: string, now: number): Row | undefined {
    const row = rows.get(id);
    return row === undefined || row.request.expiresAt <= now ? undefined : row;
  }

  function apply(row: Row, event: RequestEvent, now: number): Transition {
    const next = transition(row.request, event, now);
    if (next.ok) {
      row.request = { ...row.request, ...next.state };
      if (event.type !== "heartbeat") wake(row.request);
    }
    return next;
  }

  /** As `apply`, for an event that is known to be allowed; answers the request's id. */
  function applied(row: Row, event: RequestEvent, now: number): string {
    apply(row, event, now);
    return row.request.id;
  }

  function open(): void {
    if (disposed) throw new InferqError("shutting_down");
  }

  return {
    async enqueue(submission: Submission): Promise<void> {
      open();
      if (rows.has(submission.id)) throw new Error(`The request id ${submission.id} is taken.`);
      const request = { ...submission, ...queuedState(submission) };
      rows.set(submission.id, { request, hasFiles: submission.hasFiles });
      wake(request);
    },

    status(id: string): RequestStatus | undefined {
      const row = live(id, clock.now());
      if (row === undefined) return undefined;
      const { owner, model, status, createdAt, startedAt, finishedAt, inferenceMs, leases, failure } = row.request;
      return { id, owner, model, status, createdAt, startedAt, finishedAt, inferenceMs, leases, failure };
    },

    async get(id: string): Promise<Request | undefined> {
      return live(id, clock.now())?.request;
    },

    async lease({ worker, capacity, leaseMs }: LeaseWish): Promise<Lease[]> {
      open();
      const now = clock.now();
      const taken: Lease[] = [];
      for (const [model, most] of capacity) {
        const waiting = [...rows.values()]
          .filter(({ request }) => request.model === model && request.status === "QUEUED")
          .filter(({ request }) => request.notBefore <= now && request.expiresAt > now)
          .sort((a, b) => b.request.priority - a.request.priority || byId(a, b));
        for (const row of waiting.slice(0, most)) {
          const token = randomToken();
          const deadline = now + leaseMs;
          apply(row, { type: "lease", token, worker, deadline }, now);
          const { id, owner, input, leases: attempt, crashes, createdAt, expiresAt } = row.request;
          taken.push({ id, model, owner, input, attempt, crashes, token, createdAt, expiresAt, deadline });
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
        const expired = (rows.get(id)?.request.expiresAt ?? Infinity) <= now;
        return expired && rows.delete(id);
      }
      const row = live(id, now);
      if (row === undefined) return false;
      return finish.type === "delete" ? rows.delete(id) : apply(row, finish, now).ok;
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

    async [Symbol.asyncDispose](): Promise<void> {
      disposed = true;
    },
  };
}

function byId(a: Row, b: Row): number {
  return a.request.id < b.request.id ? -1 : 1;
}
