/**
 * Keeps the store and the blob store tidy: every second what expired or was lost, every few minutes
 * the files that a kill left without a row. Everything here may be done twice, by two processes, or be cut short anywhere.
 */
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import type { BlobStore } from "../blob/blob-store.ts";
import type { Clock } from "../core/clock.ts";
import { idTime, isId } from "../core/ids.ts";
import type { Result } from "../core/request.ts";
import type { RequestStatus, RequestStore } from "../store/store.ts";
import type { Metrics, SweepKind } from "../telemetry/metrics.ts";
import { attemptsOf } from "./attempts-of.ts";
import type { Log } from "../telemetry/log.ts";

export interface SweeperOptions {
  readonly store: RequestStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "sweepFailed">;
  /** How long an uploaded asset lives, ms. */
  readonly uploadTtlMs: number;
}

const SWEEP_EVERY_MS = 1_000;
/** Between two sweeps that are due each second: this process stood still, a suspended machine for one. */
const STOOD_STILL_MS = 2 * SWEEP_EVERY_MS;
const SCAN_EVERY_MS = 5 * 60_000;
/** Requests handled between two pauses. */
const SLICE = 500;
/** Nobody waits for a scan: it leaves the disk to the requests most of the time, ms. */
const SCAN_REST_MS = 100;
/** A request's files are written before its row: a prefix without a row is nobody's only when it is older than any submit takes, ms. */
const NOBODYS_AFTER_MS = 10 * 60_000;
/** Uploads lie under this before their id. */
const UPLOAD = "u-";

export class Sweeper implements AsyncDisposable {
  readonly #options: SweeperOptions;
  #timers: NodeJS.Timeout[] = [];
  #tickedAt = 0;
  #sweeping: Promise<void> | undefined;
  #scanning: Promise<void> | undefined;
  #stopping = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** Begins with one of each. Idempotent. */
  start(): void {
    if (this.#timers.length > 0 || this.#stopping) return;
    this.#timers = [
      setInterval(() => this.#tick(), SWEEP_EVERY_MS),
      setInterval(() => void this.scan(), SCAN_EVERY_MS),
    ];
    this.#tickedAt = this.#options.clock.now();
    void this.sweep();
    void this.scan();
  }

  /** Passes over one sweep after standing still: the worker of this process stood still too, and is about to extend its leases. */
  #tick(): void {
    const now = this.#options.clock.now();
    const stoodStill = now - this.#tickedAt > STOOD_STILL_MS;
    this.#tickedAt = stoodStill ? Infinity : now; // one, not two in a row: a process that is always late sweeps too
    if (!stoodStill) void this.sweep();
  }

  /** Resolves when nothing of it is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#sweeping, this.#scanning]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Returns lost leases to the queue, fails what should have started and removes what expired, in slices. Joins a sweep under way; never rejects. */
  sweep(): Promise<void> {
    return (this.#sweeping ??= this.#watched("sweep", () => this.#sweep()).finally(() => (this.#sweeping = undefined)));
  }

  /** Deletes the files that no row names. Joins a scan under way; never rejects. */
  scan(): Promise<void> {
    return (this.#scanning ??= this.#watched("scan", () => this.#scan()).finally(() => (this.#scanning = undefined)));
  }

  async #watched(kind: SweepKind, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#options.metrics.sweepFailed(kind);
      this.#options.log.warn({ err: error }, `${kind} cut short; the next goes on`);
    }
  }

  async #sweep(): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      const { expired, startTimedOut } = await store.sweep(SLICE);
      await Promise.all(expired.map((request) => this.#expire(request)));
      if ((expired.length < SLICE && startTimedOut.length < SLICE) || this.#stopping) return;
      await turn();
    }
  }

  /** Files first: a kill between the two leaves a row that names the rest of the work. */
  async #expire({ id, hasFiles }: { readonly id: string; readonly hasFiles: boolean }): Promise<void> {
    const { store, blobs } = this.#options;
    if (hasFiles) await blobs.deletePrefix(`${id}/`);
    await store.finish(id, { type: "expire" });
  }

  async #scan(): Promise<void> {
    const { store, blobs, clock } = this.#options;
    let seen = 0;
    for await (const name of blobs.list("")) {
      if (this.#stopping) return;
      if (++seen % SLICE === 0) await wait(SCAN_REST_MS);
      if (name.startsWith(UPLOAD)) {
        const id = name.slice(UPLOAD.length);
        if (isId(id) && idTime(id) + this.#options.uploadTtlMs <= clock.now()) await blobs.deletePrefix(`${name}/`);
        continue;
      }
      if (!isId(name)) continue;
      const status = await store.status(name);
      if (status !== undefined) await this.#tidy(status);
      else if (idTime(name) + NOBODYS_AFTER_MS <= clock.now()) await blobs.deletePrefix(`${name}/`);
    }
  }

  /** Deletes the attempts of a request that its row does not name, and what its result does not name of the one that completed it. */
  async #tidy(status: RequestStatus): Promise<void> {
    const { blobs } = this.#options;
    for (const name of await attemptsOf(status.id, blobs)) {
      const attempt = Number(name);
      if (attempt === 0) continue;
      if (!isNamed(attempt, status)) await blobs.deletePrefix(`${status.id}/${name}/`);
      else if (status.status === "COMPLETED") await this.#deleteUnnamed(`${status.id}/${name}/`, status.id);
    }
  }

  /** A worker killed before its lease was written leaves files under a number that the next lease has again. */
  async #deleteUnnamed(prefix: string, id: string): Promise<void> {
    const { store, blobs } = this.#options;
    const result = (await store.get(id))?.result;
    if (!result) return; // it has expired meanwhile
    const named = keysOf(result);
    const found: string[] = [];
    for await (const name of blobs.list(prefix)) found.push(prefix + name);
    for (const key of found) if (!named.includes(key)) await blobs.delete(key);
  }
}

function keysOf(result: Result): string[] {
  switch (result.kind) {
    case "image":
      return result.files.map(({ key }) => key);
    case "text":
      return typeof result.text === "string" ? [] : [result.text.key];
    default:
      return [result.file.key];
  }
}

/** Attempts begun after `status` was read are not judged by it. */
function isNamed(attempt: number, { status, leases }: RequestStatus): boolean {
  switch (status) {
    case "COMPLETED":
      return attempt === leases;
    case "FAILED":
      return false;
    case "PROCESSING":
      return attempt >= leases;
    case "QUEUED":
      return attempt > leases;
  }
}
