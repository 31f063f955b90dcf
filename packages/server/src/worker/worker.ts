/**
 * The loop that leases requests and hands them to runners.
 *
 * It asks for as many requests as its runners could start now, when something says that the answer
 * may have changed: a request was queued, a runner has room, or the poll's turn has come. The first two
 * are hints; the poll alone is enough. Only one ask is under way at a time, and what is heard during it leads to another.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { BlobStore } from "../blob/blob-store.ts";
import type { Clock } from "../core/clock.ts";
import { InferqError, sentence } from "../core/errors.ts";
import type { EventLog } from "../store/events.ts";
import type { Lease, RequestStore, SettleAnswer, Settlement } from "../store/store.ts";
import { attempt, type AbortReason, type AttemptEnd, type Materialize, type WorkerModel } from "./attempt.ts";
import { attemptsOf } from "./attempts-of.ts";
import { takesFiles } from "./host-trouble.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { Log } from "../telemetry/log.ts";
import { startRunners } from "./start-runners.ts";
import { Teller } from "./teller.ts";

export interface WorkerOptions {
  /** Who leases, for people who look. */
  readonly name: string;
  readonly store: RequestStore;
  /** Takes what runs tell while they run. */
  readonly events: Pick<EventLog, "append">;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly models: readonly WorkerModel[];
  readonly materialize: Materialize;
  /** Directory of the attempts' working directories: this worker's own, emptied at start. On the blob store's file system, so that artifacts are moved and not copied. */
  readonly workDirectory: string;
  /** How long a lease holds without a heartbeat, ms. */
  readonly leaseMs: number;
  /** How long a graceful stop waits for what runs, ms. */
  readonly stopGraceMs: number;
  /** Longest time between two asks for requests, ms. Default 1,000. */
  readonly pollMs?: number;
  /** Leases are durable before their runs begin: after an unclean start, for a while. Looked at before each ask. */
  readonly durableLeases: boolean;
  /** Looks whether the disk has less room than it should: then a run that fails may have failed for that. Default never. */
  readonly isDiskFull?: () => Promise<boolean>;
}

/** After a fault of the host no request is leased for this long, ms, and until the disk takes files; doubles up to the second. */
const PAUSE_MS = [500, 2_000] as const;

/** Attempts in hand, at most. Runs are bounded by their runners; those whose results are being stored are not, and a disk may be slow. */
const IN_HAND_AT_MOST = 1_024;

/** Longest wait for runs that have been told to stop, ms: a runner that ends processes needs far less, an inline run may never end. */
const ABORT_LIMIT_MS = 15_000;

export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #models: ReadonlyMap<string, WorkerModel>;
  readonly #keeper: LeaseKeeper;
  /** Attempts in hand, with what ends them early. */
  readonly #active = new Map<Promise<void>, AbortController>();
  /** Leased, and not yet in the runner: model → how many. */
  readonly #placing = new Map<string, number>();
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #poll: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;
  #asking: Promise<void> | undefined;
  #askAgain = false;
  #pauseMs = 0;
  /** Ends the pause under way. */
  #pause: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#models = new Map(options.models.map((model) => [model.name, model]));
    this.#keeper = new LeaseKeeper(options);
  }

  /** From the moment that `stop` is called. */
  get isStopping(): boolean {
    return this.#stopped !== undefined;
  }

  /** Empties the working directory, starts the runners and begins to lease. Idempotent. */
  start(): Promise<void> {
    return (this.#started ??= this.#start());
  }

  /** Leases no more, lets what runs finish within the grace, gives the rest back unspent, and stops the runners. Idempotent. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(): Promise<void> {
    const { workDirectory, store, models, pollMs = 1_000 } = this.#options;
    await mkdir(workDirectory, { recursive: true });
    for (const name of await readdir(workDirectory))
      await rm(join(workDirectory, name), { recursive: true, force: true });
    if (this.#stopped !== undefined) return;
    this.#keeper.start();
    this.#unsubscribe = store.onWake?.((wake) => {
      if (wake.type === "queued" && this.#models.has(wake.model)) this.#ask();
    });
    this.#poll = setInterval(() => this.#ask(), pollMs);
    for (const { runner } of models) runner.onChange(() => this.#ask());
    startRunners(models);
    this.#ask();
  }

  async #stop(): Promise<void> {
    await this.#started;
    this.#unsubscribe?.();
    clearInterval(this.#poll);
    clearTimeout(this.#pause);
    await this.#asking;
    await this.#allEnded(this.#options.stopGraceMs);
    for (const controller of this.#active.values()) controller.abort("stop" satisfies AbortReason);
    await this.#allEnded(ABORT_LIMIT_MS);
    if (this.#active.size > 0) {
      this.#options.log.warn({ runs: this.#active.size }, "runs did not stop; their leases will run out");
    }
    this.#keeper.stop();
    await Promise.all(this.#options.models.map(({ runner }) => runner.stop()));
  }

  async #allEnded(limitMs: number): Promise<void> {
    const limit = new AbortController();
    const ended = Promise.all(this.#active.keys()).then(() => limit.abort());
    await Promise.race([ended, wait(limitMs, undefined, { signal: limit.signal }).catch(() => {})]);
  }

  /** Asks the store for requests soon; several calls in one turn of the event loop are one. */
  #ask(): void {
    this.#askAgain = true;
    if (this.#asking !== undefined || this.#stopped !== undefined) return;
    this.#asking = this.#askInATurn();
  }

  async #askInATurn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const answered = await this.#leaseAll();
    this.#asking = undefined;
    // A hint may have come after the loop's last look, while it seemed that somebody was asking.
    if (answered && this.#askAgain) this.#ask();
  }

  /** Answers false where the store gave no answer. */
  async #leaseAll(): Promise<boolean> {
    const { store, name, leaseMs, durableLeases, log } = this.#options;
    while (this.#askAgain && this.#stopped === undefined) {
      this.#askAgain = false;
      const capacity = this.#capacity();
      if (capacity.size === 0) return true;
      try {
        const leases = await store.lease({ worker: name, capacity, leaseMs, durable: durableLeases });
        for (const lease of leases) this.#begin(lease);
      } catch (error) {
        log.warn({ err: error }, "leasing failed; tried again with the next poll");
        return false;
      }
    }
    return true;
  }

  #capacity(): Map<string, number> {
    const capacity = new Map<string, number>();
    if (this.#pause !== undefined || this.#active.size >= IN_HAND_AT_MOST) return capacity;
    for (const { name, runner } of this.#models.values()) {
      const room = runner.free - (this.#placing.get(name) ?? 0);
      if (room > 0) capacity.set(name, room);
    }
    return capacity;
  }

  #begin(lease: Lease): void {
    const controller = new AbortController();
    this.#keeper.hold(lease, (outcome) => {
      const { log } = this.#options;
      if (outcome === undefined) log.warn(about(lease), "lease lost; its run is ended");
      else log.info({ ...about(lease), outcome }, "the request has ended meanwhile; so does its run");
      controller.abort("lost" satisfies AbortReason);
    });
    if (this.#stopped !== undefined) controller.abort("stop" satisfies AbortReason); // asked before the stop
    const attempt = this.#attempt(lease, controller.signal)
      .catch((error: unknown) => this.#options.log.error({ ...about(lease), err: error }, "cleaning up failed"))
      .finally(() => {
        this.#keeper.drop(lease);
        this.#active.delete(attempt);
        if (this.#active.size === IN_HAND_AT_MOST - 1) this.#ask();
      });
    this.#active.set(attempt, controller);
  }

  async #attempt(lease: Lease, signal: AbortSignal): Promise<void> {
    const directory = join(this.#options.workDirectory, lease.id, String(lease.attempt));
    let end: AttemptEnd | undefined;
    try {
      end = await this.#run(lease, directory, signal);
      if (end.fault !== undefined) this.#tellFault(lease, end.fault);
      if (end.fault !== undefined && end.settlement?.type === "release") this.#pauseLeasing();
      const answer = end.settlement && (await this.#settle(lease, end.settlement, signal));
      await this.#cleanBlobs(lease, end, answer);
    } finally {
      if (end?.noDirectory !== true && existsSync(directory)) await this.#removeDirectory(lease, directory);
    }
  }

  async #run(lease: Lease, directory: string, signal: AbortSignal): Promise<AttemptEnd> {
    const { blobs, materialize, log, events, workDirectory, isDiskFull } = this.#options;
    const model = this.#models.get(lease.model)!;
    this.#placing.set(model.name, (this.#placing.get(model.name) ?? 0) + 1);
    let placed = false;
    let inTrouble = false;
    return await attempt(lease, model, {
      blobs,
      materialize,
      directory,
      signal,
      onPlaced: () => {
        if (placed) return;
        placed = true;
        this.#placing.set(model.name, this.#placing.get(model.name)! - 1);
      },
      onTrouble: (fault) => {
        if (!inTrouble) this.#tellFault(lease, fault);
        inTrouble = true;
        this.#pauseLeasing();
      },
      isHostToBlame: async (outOfRoom) => {
        if (!outOfRoom && !(await isDiskFull?.())) return false;
        // What the run wrote itself goes first: a request that fills the disk would fill it with each try, for ever.
        await this.#removeDirectory(lease, directory).catch(() => {});
        return (outOfRoom && (await isDiskFull?.())) || !(await takesFiles(workDirectory));
      },
      teller: new Teller(events, lease, log),
      onPrinted: (line) => log.debug({ ...about(lease), line }, "model prints"),
    });
  }

  /**
   * Tries while the lease holds: the run is done and its result must not be lost to a store that stumbles. A settlement
   * that the store cannot take at all would go round until then, and again with each lease: the request fails instead.
   * Undefined: no answer that tells what became of it.
   */
  async #settle(lease: Lease, wanted: Settlement, signal: AbortSignal): Promise<SettleAnswer | undefined> {
    const { store, log } = this.#options;
    this.#keeper.settling(lease);
    let settlement = wanted;
    let triedBefore = false;
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        const answer = await store.settle(lease.id, lease.token, settlement);
        this.#keeper.drop(lease);
        if (!answer.ok) this.#tellRefused(lease, answer.refusal, signal);
        if (answer.ok && settlement.type === "complete") this.#pauseMs = 0;
        // An earlier try may have been written though its answer was lost: then it is our own outcome that refuses us.
        return !answer.ok && triedBefore ? undefined : answer;
      } catch (error) {
        if (!isStumble(error)) {
          triedBefore = true;
          log.error({ ...about(lease), err: error }, "the store cannot take this settlement");
          if (settlement !== wanted) return undefined;
          const inferenceMs = wanted.type === "release" ? 0 : wanted.inferenceMs;
          const failure = { code: "internal", message: sentence("internal") } as const;
          settlement = { type: "fail", kind: "error", failure, inferenceMs };
          continue;
        }
        if (!triedBefore)
          log.warn({ ...about(lease), err: error }, "settling failed; tried again while the lease holds");
        triedBefore = true;
        // A signal that has aborted would end every wait at once: the loop would never let anything else happen.
        await wait(waitMs, undefined, signal.aborted ? {} : { signal }).catch(() => {});
        if (!this.#keeper.holds(lease)) return undefined;
      }
    }
  }

  /** Once, and as a fault only where it is one: that the lease was lost, or its request had ended, may have been told before. */
  #tellRefused(lease: Lease, refusal: string, signal: AbortSignal): void {
    const { log } = this.#options;
    const fields = { ...about(lease), refusal };
    if (refusal === "fenced") log.warn(fields, "settle refused: the lease no longer holds");
    else if (!signal.aborted) log.info(fields, "settle refused: the request has ended meanwhile");
    else log.debug(fields, "settle refused: the request has ended meanwhile");
  }

  /** Leaves of an attempt's files those that the request's row names. Where no answer came the scan decides, for only it sees the row. */
  async #cleanBlobs(lease: Lease, end: AttemptEnd, answer: SettleAnswer | null | undefined): Promise<void> {
    const { blobs } = this.#options;
    const { settlement } = end;
    if (answer?.ok && answer.status === "COMPLETED") {
      if (lease.attempt === 1) return;
      for (const name of await attemptsOf(lease.id, blobs)) {
        if (name !== "0" && name !== String(lease.attempt)) await blobs.deletePrefix(`${lease.id}/${name}/`);
      }
    } else if (
      settlement?.type === "complete" ? answer !== undefined : end.fault !== undefined || settlement === null
    ) {
      await blobs.deletePrefix(`${lease.id}/${lease.attempt}/`);
    }
  }

  async #removeDirectory(lease: Lease, directory: string): Promise<void> {
    // Mostly empty, its files moved away: one call instead of the several that a recursive removal makes.
    await rmdir(directory).catch(() => rm(directory, { recursive: true, force: true }));
    // Another attempt of the same request may have its directory there.
    await rmdir(join(this.#options.workDirectory, lease.id)).catch(() => {});
  }

  #tellFault(lease: Lease, fault: unknown): void {
    this.#options.log.error({ ...about(lease), err: fault }, "an attempt is in trouble for a reason of this host's");
  }

  /** The host cannot work: leases nothing for a while, and not before its disk takes files again. */
  #pauseLeasing(): void {
    if (this.#pause !== undefined || this.#stopped !== undefined) return;
    const [first, longest] = PAUSE_MS;
    this.#pauseMs = Math.min(longest, Math.max(first, this.#pauseMs * 2));
    this.#pause = setTimeout(() => void this.#tryToGoOn(), this.#pauseMs);
  }

  async #tryToGoOn(): Promise<void> {
    const goesOn = await takesFiles(this.#options.workDirectory);
    this.#pause = undefined;
    if (goesOn) this.#ask();
    else this.#pauseLeasing();
  }
}

/** Whether the store may take the same another time. */
function isStumble(error: unknown): boolean {
  return error instanceof InferqError && (error.code === "store_unavailable" || error.code === "shutting_down");
}

function about(lease: Lease): object {
  return { request: lease.id, model: lease.model, owner: lease.owner, attempt: lease.attempt };
}
