/**
 * What a caller is shown of its own requests beyond the contract: the list, the way of one request, the
 * answer to a retry. Names are those of the contract where it has them; times are ISO 8601, in UTC.
 */
import type { PastAttempt, Priority, Request, RequestState } from "../core/request.ts";
import type { ListedDelivery } from "../store/deliveries.ts";
import type { ListedRequest } from "../store/store.ts";
import { submitBody } from "./bodies.ts";
import { iso, isoOrNull } from "./time.ts";

const PRIORITIES = { "-1": "low", "0": "normal", "1": "high" } as const satisfies Record<`${Priority}`, string>;

/** Answer to `GET /v2/requests`. */
export function listBody(requests: readonly ListedRequest[], nextCursor: string | null, base: string): string {
  return JSON.stringify({ requests: requests.map((one) => listed(one, base)), next_cursor: nextCursor });
}

function listed(request: ListedRequest, base: string): object {
  const { id, model, status, failure } = request;
  return {
    request_id: id,
    model,
    status,
    created_at: iso(request.createdAt),
    started_at: isoOrNull(request.startedAt),
    finished_at: isoOrNull(request.finishedAt),
    expires_at: iso(request.expiresAt),
    priority: PRIORITIES[`${request.priority}`],
    attempts: request.leases,
    error: failure?.message ?? null,
    error_code: failure?.code ?? null,
    idempotency_key: request.idempotencyKey,
    retry_of: request.retryOf,
    status_url: `${base}/v2/requests/${id}/status`,
    response_url: `${base}/v2/requests/${id}`,
  };
}

/** Answer to `GET /v2/requests/{id}/timeline`. */
export function timelineBody(
  request: Request,
  past: readonly PastAttempt[],
  delivery: ListedDelivery | undefined,
): string {
  return JSON.stringify({
    request_id: request.id,
    retry_of: request.retryOf,
    expires_at: iso(request.expiresAt),
    events: [
      { at: iso(request.createdAt), event: "submitted" },
      ...past.flatMap((attempt, index) => pastEvents(attempt, index === past.length - 1 ? request : undefined)),
      ...presentEvents(request, past.at(-1)?.attempt ?? 0),
      ...(delivery === undefined ? [] : webhookEvents(delivery)),
    ],
  });
}

/** The lease of an attempt that ended without an outcome, and how it ended. `latest` is the request, where no attempt followed. */
function pastEvents(past: PastAttempt, latest: RequestState | undefined): object[] {
  const { attempt, worker, failure } = past;
  const leased = { at: iso(past.startedAt), event: "leased", attempt, worker };
  const at = iso(past.endedAt);
  if (failure === null) return [leased, { at, event: "released", attempt }];
  const waits = latest?.status === "QUEUED" && latest.notBefore > past.endedAt;
  return [
    leased,
    {
      at,
      event: "attempt_failed",
      attempt,
      error_code: failure.code,
      error: failure.message,
      ...(waits && { next_try_at: iso(latest.notBefore) }),
    },
  ];
}

/** The lease after the past ones, if there is one, and the outcome. A request may fail without a lease: cancelled while it waits, for one. */
function presentEvents(request: RequestState, pastAttempts: number): object[] {
  const { leases, lease, startedAt, finishedAt, failure } = request;
  const attempt = leases > pastAttempts ? { attempt: leases } : {};
  const events: object[] = [];
  if (leases > pastAttempts && startedAt !== null) {
    events.push({ at: iso(startedAt), event: "leased", ...attempt, ...(lease !== null && { worker: lease.worker }) });
  }
  if (finishedAt === null) return events;
  const at = iso(finishedAt);
  if (failure === null) events.push({ at, event: "completed", ...attempt });
  else events.push({ at, event: "failed", ...attempt, error_code: failure.code, error: failure.message });
  return events;
}

/** The tries to send its webhook, the latest of them where there were many, and whether it was given up. */
function webhookEvents({ attempts, state, createdAt, dueAt }: ListedDelivery): object[] {
  const events = attempts.map(({ at, status, error }, index): object => {
    if (error === null) return { at: iso(at), event: "webhook_delivered", http_status: status };
    const waits = index === attempts.length - 1 && dueAt !== null;
    return {
      at: iso(at),
      event: "webhook_attempt_failed",
      http_status: status,
      error,
      ...(waits && { next_try_at: iso(dueAt) }),
    };
  });
  if (state !== "failed") return events;
  return [...events, { at: iso(attempts.at(-1)?.at ?? createdAt), event: "webhook_given_up" }];
}

/** Answer to a retry: that to a submit, and the request whose input it runs again. */
export function retryBody(id: string, base: string, retryOf: string): string {
  return `${submitBody(id, base).slice(0, -1)},"retry_of":"${retryOf}"}`;
}
