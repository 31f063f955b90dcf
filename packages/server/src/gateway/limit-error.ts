/** A call that a limit refuses: what it is told beside the sentence. */
import { type ErrorCode, InferqError } from "../core/errors.ts";

export type LimitCode = Extract<
  ErrorCode,
  "rate_limited" | "too_many_in_flight" | "model_queue_full" | "server_queue_full" | "disk_full" | "too_many_failures"
>;

export class LimitError extends InferqError {
  /** When to come again, whole seconds, at least 1. */
  readonly retryAfterSeconds: number;
  /** Fields for the answer, beside Retry-After. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: LimitCode,
    values: Readonly<Record<string, string | number>>,
    retryAfterSeconds: number,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(code, values);
    this.retryAfterSeconds = retryAfterSeconds;
    this.headers = headers;
  }
}
