/** What is counted and measured, in Prometheus' text format. docs/guide tells how to read it. */
import { statfs } from "node:fs/promises";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Clock } from "../core/clock.ts";
import type { DeliveryMark, DeliveryStore } from "../store/deliveries.ts";
import type { RequestStore } from "../store/store.ts";

export interface Metrics {
  readonly contentType: string;
  /** All figures as text. What the store knows is asked of it now. */
  render(): Promise<string>;
  accepted(model: string): void;
  /** A request reached its outcome: `COMPLETED`, a code of the error table, or `expired` without one. */
  finished(model: string, outcome: string): void;
  /** A request used up its attempts. */
  deadLetter(model: string): void;
  leasesLost(count: number): void;
  /** A call was refused by a limit; `code` of the error table. */
  refused(code: string): void;
  /** A sweep or a scan was cut short by an error. */
  sweepFailed(kind: SweepKind): void;
  webhookTried(result: DeliveryMark["type"]): void;
  /** A new delivery was sent so many seconds after the outcome that it tells of. */
  webhookFirstTried(seconds: number): void;
}

/** `sweep`: of what expired or was lost. `scan`: for files that no row names. */
export type SweepKind = "sweep" | "scan";

export interface MetricsOptions {
  readonly store: Pick<RequestStore, "stats">;
  readonly deliveries: Pick<DeliveryStore, "pending">;
  readonly clock: Clock;
  /** A path on the disk that the data lies on. */
  readonly dataDirectory: string;
  /** Their dead letters are counted from 0 on, so that the first is an increase. */
  readonly models?: readonly string[];
}

/** Seconds. From a RAM disk's commit to one on a disk that is in trouble. */
const COMMIT_BUCKETS = [0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 4];

export function metrics({ store, deliveries, clock, dataDirectory, models = [] }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const accepted = new Counter({
    name: "inferq_requests_accepted_total",
    help: "Requests accepted, by model.",
    labelNames: ["model"],
    registers,
  });
  const finished = new Counter({
    name: "inferq_requests_finished_total",
    help: "Requests that reached their outcome, by model and outcome: COMPLETED, an error code, or expired.",
    labelNames: ["model", "outcome"],
    registers,
  });
  const deadLetters = new Counter({
    name: "inferq_dead_letters_total",
    help: "Requests that used up their attempts, by model.",
    labelNames: ["model"],
    registers,
  });
  for (const model of models) deadLetters.inc({ model }, 0);
  const lost = new Counter({ name: "inferq_leases_lost_total", help: "Leases that ran out.", registers });
  const sweepsFailed = new Counter({
    name: "inferq_sweeps_failed_total",
    help: "Sweeps (of what expired or was lost) and scans (for files that no row names) that an error cut short.",
    labelNames: ["kind"],
    registers,
  });
  for (const kind of ["sweep", "scan"] satisfies SweepKind[]) sweepsFailed.inc({ kind }, 0);
  const refused = new Counter({
    name: "inferq_refused_total",
    help: "Calls that a limit refused, by the code of their error.",
    labelNames: ["code"],
    registers,
  });
  const depth = new Gauge({
    name: "inferq_queue_depth",
    help: "Requests that wait, by model.",
    labelNames: ["model"],
    registers,
  });
  const inFlight = new Gauge({
    name: "inferq_in_flight",
    help: "Requests that a worker holds, by model.",
    labelNames: ["model"],
    registers,
  });
  const oldest = new Gauge({
    name: "inferq_oldest_wait_seconds",
    help: "How long the request that waits longest has waited, by model.",
    labelNames: ["model"],
    registers,
  });
  const commits = new Histogram({
    name: "inferq_store_commit_seconds",
    help: "Time of a transaction of the store, from BEGIN until it is durable.",
    buckets: COMMIT_BUCKETS,
    registers,
  });
  // SQLite writes and syncs its log within COMMIT: nothing finer can be told from outside.
  const syncs = new Histogram({
    name: "inferq_store_sync_seconds",
    help: "Of that the COMMIT statement alone: the write and the fsync of the log, and now and then a checkpoint.",
    buckets: COMMIT_BUCKETS,
    registers,
  });
  const storeBytes = new Gauge({
    name: "inferq_store_bytes",
    help: "Bytes of the database and its write-ahead log.",
    registers,
  });
  const diskFree = new Gauge({
    name: "inferq_disk_free_bytes",
    help: "Bytes free to this server on the disk of the data directory.",
    registers,
  });

  const pending = new Gauge({
    name: "inferq_webhooks_pending",
    help: "Webhooks that are still to be delivered.",
    registers,
  });
  const tries = new Counter({
    name: "inferq_webhook_tries_total",
    help: "Tries to deliver a webhook, by what became of them: delivered, retry (it is tried again), failed (it was given up).",
    labelNames: ["result"],
    registers,
  });
  for (const result of ["delivered", "retry", "failed"] satisfies DeliveryMark["type"][]) tries.inc({ result }, 0);
  const firstTries = new Histogram({
    name: "inferq_webhook_first_try_seconds",
    help: "From a request's outcome to the first try of its webhook.",
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30, 300, 3600],
    registers,
  });

  const askStore = (): void => {
    const stats = store.stats();
    for (const gauge of [depth, inFlight, oldest]) gauge.reset();
    for (const [model, { queued, processing, oldestCreatedAt }] of stats.models) {
      depth.set({ model }, queued);
      inFlight.set({ model }, processing);
      oldest.set({ model }, oldestCreatedAt === null ? 0 : Math.max(0, clock.now() - oldestCreatedAt) / 1000);
    }
    for (const ms of stats.commitMs) commits.observe(ms / 1000);
    for (const ms of stats.syncMs) syncs.observe(ms / 1000);
    storeBytes.set(stats.bytes);
    pending.set(deliveries.pending);
  };

  return {
    contentType: registry.contentType,
    async render() {
      askStore();
      const { bavail, bsize } = await statfs(dataDirectory);
      diskFree.set(bavail * bsize);
      return await registry.metrics();
    },
    accepted: (model) => accepted.inc({ model }),
    finished: (model, outcome) => finished.inc({ model, outcome }),
    deadLetter: (model) => deadLetters.inc({ model }),
    leasesLost: (count) => lost.inc(count),
    refused: (code) => refused.inc({ code }),
    sweepFailed: (kind) => sweepsFailed.inc({ kind }),
    webhookTried: (result) => tries.inc({ result }),
    webhookFirstTried: (seconds) => firstTries.observe(seconds),
  };
}
