/** The `metrics` of a finished request (contract, "Check status"; in-practice, "Status and result"). */

/** When a request went through its states; all in ms since the epoch, the run itself in ms. */
export interface Times {
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly inferenceMs: number | null;
}

/** Milliseconds as seconds with at most 6 decimals, never below 0. */
export function seconds(ms: number): number {
  return ms <= 0 ? 0 : Math.round(ms * 1_000) / 1_000_000;
}

/** JSON of the metrics of a finished request. A request that never ran spent all its time waiting. */
export function metricsJson(times: Times): string {
  const end = times.finishedAt ?? times.createdAt;
  const inference = seconds(times.inferenceMs ?? 0);
  const queue = seconds((times.startedAt ?? end) - times.createdAt);
  const total = seconds(end - times.createdAt);
  return `{"inference_time":${inference},"queue_time":${queue},"total_time":${total}}`;
}
