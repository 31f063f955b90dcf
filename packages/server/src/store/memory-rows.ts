/** What the store in memory holds of a request, and how that is shown. */
import type { PastAttempt, Request, Status } from "../core/request.ts";
import type { DeadLetterPage, DeadLetterWish, ListedRequest, RequestStatus } from "./store.ts";

export interface Row {
  request: Request;
  /** Whether files lie under any of the request's prefixes, not only under its inputs'. */
  hasFiles: boolean;
  readonly past: PastAttempt[];
  /** The position that was told last. */
  told: number;
}

/** The page of dead letters that `wish` asks for. */
export function deadLettersOf(rows: Iterable<Row>, wish: DeadLetterWish, now: number): DeadLetterPage {
  const { owner, model, state, before, limit } = wish;
  const found = [...rows]
    .map(({ request }) => request)
    .filter((request) => request.deadLetter !== null && request.expiresAt > now)
    .filter((request) => owner === undefined || request.owner === owner)
    .filter((request) => model === undefined || request.model === model)
    .filter((request) => state === undefined || request.deadLetter === state)
    .filter((request) => before === undefined || request.id < before)
    .sort((a, b) => (a.id > b.id ? -1 : 1));
  const deadLetters = found.slice(0, limit).map((request) => {
    const { key, attempts, crashes, deadLetter } = request;
    return { ...toStatus(request), key, attempts, crashes, state: deadLetter! };
  });
  return { deadLetters, next: found.length > limit ? deadLetters.at(-1)!.id : null };
}

export function toStatus(request: Request): RequestStatus {
  const { id, owner, model, status, createdAt, startedAt, finishedAt } = request;
  const { inferenceMs, leases, failure, expiresAt } = request;
  return { id, owner, model, status, createdAt, startedAt, finishedAt, inferenceMs, leases, failure, expiresAt };
}

export function toListed(request: Request): ListedRequest {
  const { priority, idempotencyKey, retryOf } = request;
  return { ...toStatus(request), priority, idempotencyKey, retryOf };
}

export function isUnfinished(status: Status | undefined): boolean {
  return status === "QUEUED" || status === "PROCESSING";
}

/** Whose turns are counted together. */
export function laneOf({ model, priority, key }: Request): string {
  return JSON.stringify([model, priority, key]);
}

export function byId(a: Row, b: Row): number {
  return a.request.id < b.request.id ? -1 : 1;
}
