import type { ErrorCode } from "../../core/errors.ts";
import type { Failure } from "../../core/request.ts";
import type { RequestStatus } from "../store.ts";
import { STATUSES } from "./messages.ts";

/** The columns of `requests` that the light view is made of. */
export const STATUS_COLUMNS = `status, model, owner, leases, created_at, expires_at, started_at, finished_at, inference_ms,
  failure_code, failure_message`;

export interface FailureColumns {
  readonly failure_code: ErrorCode | null;
  readonly failure_message: string | null;
}

export interface StatusRow extends FailureColumns {
  readonly status: number;
  readonly model: string;
  readonly owner: string;
  readonly leases: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly inference_ms: number | null;
}

export function toStatus(id: string, row: StatusRow): RequestStatus {
  return {
    id,
    owner: row.owner,
    model: row.model,
    status: STATUSES[row.status]!,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    inferenceMs: row.inference_ms,
    leases: row.leases,
    failure: toFailure(row),
    expiresAt: row.expires_at,
  };
}

export function toFailure({ failure_code: code, failure_message: message }: FailureColumns): Failure | null {
  return code === null ? null : { code, message: message! };
}
