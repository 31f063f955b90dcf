/** What is shown of dead letters: to a caller its own, to the operator everybody's, with whose they are. */
import type { PastAttempt, Request } from "../core/request.ts";
import type { DeadLetter } from "../store/store.ts";
import { iso, isoOrNull } from "./time.ts";

/** Answer to `GET /v2/dead-letters`. */
export function deadLettersBody(
  deadLetters: readonly DeadLetter[],
  nextCursor: string | null,
  forOperator: boolean,
): string {
  return JSON.stringify({
    dead_letters: deadLetters.map((one) => facts(one, forOperator)),
    next_cursor: nextCursor,
  });
}

/** Answer to `GET /v2/dead-letters/{id}`. `input`: its JSON, or null where that is too large to be shown. */
export function deadLetterBody(
  request: Request,
  past: readonly PastAttempt[],
  input: string | null,
  forOperator: boolean,
): string {
  const { startedAt, finishedAt, leases: attempt, worker, failure } = request;
  const last = { attempt, worker, startedAt: startedAt!, endedAt: finishedAt!, failure };
  const body = JSON.stringify({
    ...facts({ ...request, state: request.deadLetter! }, forOperator),
    retry_of: request.retryOf,
    webhook: request.webhook?.url ?? null,
    history: [...past, last].map(shownAttempt),
  });
  return `${body.slice(0, -1)},"input":${input}}`;
}

type Shown = Pick<
  DeadLetter,
  | "id"
  | "model"
  | "owner"
  | "key"
  | "createdAt"
  | "finishedAt"
  | "expiresAt"
  | "attempts"
  | "crashes"
  | "failure"
  | "state"
>;

function facts(one: Shown, forOperator: boolean): object {
  return {
    request_id: one.id,
    model: one.model,
    ...(forOperator && { owner: one.owner, key: one.key }),
    created_at: iso(one.createdAt),
    finished_at: isoOrNull(one.finishedAt),
    expires_at: iso(one.expiresAt),
    attempts: one.attempts,
    crashes: one.crashes,
    error: one.failure?.message ?? null,
    error_code: one.failure?.code ?? null,
    replayed: one.state === "replayed",
  };
}

/** One that was given back has no error. */
function shownAttempt(attempt: Omit<PastAttempt, "worker"> & { readonly worker: string | null }): object {
  return {
    attempt: attempt.attempt,
    worker: attempt.worker,
    started_at: iso(attempt.startedAt),
    ended_at: iso(attempt.endedAt),
    error: attempt.failure?.message ?? null,
    error_code: attempt.failure?.code ?? null,
  };
}
