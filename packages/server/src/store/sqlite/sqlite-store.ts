import { statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import { InferqError, sentence } from "../../core/errors.ts";
import { isId, randomToken } from "../../core/ids.ts";
import type { Request, StoredInput, Submission } from "../../core/request.ts";
import type {
  Finish,
  Lease,
  LeaseWish,
  RequestStatus,
  RequestStore,
  SettleAnswer,
  Settlement,
  StoreStats,
  Swept,
  Wake,
} from "../store.ts";
import { GroupCommit } from "./group-commit.ts";
import type { Committed } from "./group-commit.ts";
import { idFromBytes } from "./id-bytes.ts";
import { lockDirectory } from "./lock.ts";
import * as m from "./messages.ts";
import type { Answer, Operation } from "./messages.ts";
import { Reader, type Leasable } from "./reader.ts";
import { RequestIndex } from "./request-index.ts";

/** Pages given back to the file system by one sweep: 4 MB. */
const VACUUM_PAGES = 256;

/** Wait before an index that could not be loaded is loaded anew, ms. */
const RELOAD_MS = 1_000;

/** Inputs kept in memory for the lease that follows, and the longest such: 4 MB at most. */
const RECENT_INPUTS = 512;
const RECENT_INPUT_CHARS = 4096;

export interface SqliteStoreOptions {
  /** The data directory; made if it is missing. One store at a time holds it. */
  readonly directory: string;
  readonly clock: Clock;
}

export interface SqliteStore extends RequestStore {
  /** Whether the process before this one stopped without saying so, and a request that it ran has no outcome yet: lease durably. */
  readonly unclean: boolean;
  status(id: string): RequestStatus | undefined;
  /** Resolves when the index is loaded. Status polls and submits need not wait for it; leases do. */
  loaded(): Promise<void>;
}

/**
 * Opens the store in `directory`. Throws one sentence for people where the directory is in use by
 * another server, cannot be written, or was written by a newer version.
 */
export async function sqliteStore({ directory, clock }: SqliteStoreOptions): Promise<SqliteStore> {
  const store = new Store(join(directory, "inferq.db"), clock, lockDirectory(directory));
  try {
    await store.open();
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class Store implements SqliteStore {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #unlock: () => void;
  readonly #commits: GroupCommit;
  readonly #listeners = new Set<(wake: Wake) => void>();
  /** Null while the file is closed after a failed commit. */
  #reader: Reader | null = null;
  #index = new RequestIndex();
  readonly #recentInputs = new Map<string, StoredInput>();
  /** Attempts handed out whose leases could not be written: their runs go on, so their numbers are spent. */
  readonly #unwritten = new Map<string, number>();
  /** Until a load has ended, whoever held a lease is dead: this process alone has the directory, and has leased nothing yet. */
  #fresh = true;
  #leftUncleanly = false;
  /** Requests that were running when the process before this one ended, until they have an outcome: one of them may be what ended it. */
  readonly #suspects = new Set<string>();
  #loading: Promise<void> = Promise.resolve();
  #dueTimer: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(path: string, clock: Clock, unlock: () => void) {
    this.#path = path;
    this.#clock = clock;
    this.#unlock = unlock;
    this.#commits = new GroupCommit(path, {
      committed: (batch) => this.#committed(batch),
      broken: () => this.#closeReader(),
      reopened: () => {
        this.#index = new RequestIndex();
        this.#openReader();
      },
    });
  }

  async open(): Promise<void> {
    this.#leftUncleanly = await this.#commits.open();
    this.#openReader();
  }

  get unclean(): boolean {
    return this.#leftUncleanly && (this.#fresh || this.#suspects.size > 0);
  }

  async loaded(): Promise<void> {
    // A failed commit meanwhile starts another load.
    for (let loading; loading !== this.#loading;) await (loading = this.#loading);
  }

  async enqueue(s: Submission): Promise<void> {
    const { json = null, key = null } = s.input as { json?: string; key?: string };
    const files = s.hasFiles ? m.INPUT_FILES : 0;
    // prettier-ignore
    const answer = await this.#commits.submit([
      m.ENQUEUE, s.id, this.#clock.now(), s.model, s.owner, json, key, files, s.priority, s.createdAt, s.notBefore,
      s.startDeadline, s.expiresAt, s.idempotencyKey, s.idempotencyDigest, s.webhook, s.publicBase,
    ]);
    if (answer !== true) throw new Error(`Enqueueing ${s.id} was answered ${JSON.stringify(answer)}.`);
  }

  status(id: string): RequestStatus | undefined {
    if (!isId(id)) return undefined;
    const now = this.#clock.now();
    const status = this.#index.status(id, now);
    // A miss says nothing: the index holds not every finished request, and none while it loads.
    return status === undefined ? this.#read((reader) => reader.status(id, now)) : (status ?? undefined);
  }

  async get(id: string): Promise<Request | undefined> {
    return isId(id) ? this.#read((reader) => reader.request(id, this.#clock.now())) : undefined;
  }

  async lease({ worker, capacity, leaseMs, durable }: LeaseWish): Promise<Lease[]> {
    await this.loaded();
    this.#opened(); // else the leases of fresh requests, whose inputs are in memory, would be handed out unwritten
    const now = this.#clock.now();
    const deadline = now + leaseMs;
    this.#promote(now);
    const taken = [...capacity].flatMap(([model, most]) => this.#index.take(model, most, now));
    const leasable = this.#takeLeasable(taken, now);
    const leases: Lease[] = [];
    const written: Promise<boolean>[] = [];
    for (const [i, { id, model, owner, createdAt, expiresAt, attempt }] of taken.entries()) {
      const found = leasable[i];
      if (found === undefined) continue; // deleted, and the index is about to hear of it
      const token = randomToken();
      leases.push({ id, model, owner, ...found, attempt, token, createdAt, expiresAt, deadline });
      const write = this.#commits.submit([m.LEASE, id, now, token, worker, deadline, attempt]);
      written.push(write.then((answer) => answer === true));
      // Not awaited, a lease whose write is refused is worth nothing, and its settle will say so.
      if (!durable) written.at(-1)!.catch(() => this.#unwritten.set(id, attempt));
    }
    if (!durable) return leases;
    const held = await Promise.all(written);
    return leases.filter((_, i) => held[i]);
  }

  async heartbeat(
    leases: readonly { readonly id: string; readonly token: string }[],
    leaseMs: number,
  ): Promise<string[]> {
    const now = this.#clock.now();
    const answers = await Promise.all(
      leases.map(({ id, token }) =>
        isId(id)
          ? this.#commits.submit([m.HEARTBEAT, id, now, token, now + leaseMs])
          : Promise.resolve("unknown" as const),
      ),
    );
    return leases.filter((_, i) => typeof answers[i] === "string").map(({ token }) => token);
  }

  async settle(id: string, token: string, settlement: Settlement): Promise<SettleAnswer> {
    if (!isId(id)) return { ok: false, refusal: "unknown" };
    const answer = await this.#commits.submit(m.settleOperation(id, token, settlement, this.#clock.now()));
    if (answer === true) return { ok: true, status: "COMPLETED" };
    if (isTuple(answer)) return { ok: true, status: m.STATUSES[answer[0]]! };
    return { ok: false, refusal: answer as Extract<SettleAnswer, { ok: false }>["refusal"] };
  }

  async finish(id: string, finish: Finish): Promise<boolean> {
    if (!isId(id)) return false;
    const now = this.#clock.now();
    const answer = await this.#commits.submit(
      finish.type === "cancel"
        ? [m.CANCEL, id, now, finish.failure.code, finish.failure.message]
        : [finish.type === "delete" ? m.DELETE : m.EXPIRE, id, now],
    );
    return typeof answer !== "string";
  }

  async sweep(limit: number): Promise<Swept> {
    const now = this.#clock.now();
    this.#promote(now);
    const message = sentence("start_timeout");
    const overdue = this.#read((reader) => reader.startOverdue(now, limit));
    const [lost, startTimedOut] = await Promise.all([
      this.#done(this.#index.lostLeases(now).map((id) => [m.LOST, id, now, now])),
      this.#done(overdue.map((id) => [m.START_TIMEOUT, id, now, message])),
      this.#commits.submit([m.VACUUM, "", now, VACUUM_PAGES]),
    ]);
    return { lost, startTimedOut, expired: this.#read((reader) => reader.expired(now, limit)) };
  }

  stats(): StoreStats {
    const bytes = [this.#path, `${this.#path}-wal`]
      .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size);
    return { models: this.#index.depths(this.#clock.now()), bytes, ...this.#commits.takeDurations() };
  }

  onWake(listener: (wake: Wake) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    clearTimeout(this.#dueTimer);
    await this.#commits.close(() => this.#closeReader());
    await Promise.allSettled([this.#loading]);
    this.#unlock();
  }

  #opened(): Reader {
    if (this.#reader === null) throw new InferqError(this.#disposed ? "shutting_down" : "store_unavailable");
    return this.#reader;
  }

  #read<T>(read: (reader: Reader) => T): T {
    return read(this.#opened());
  }

  #openReader(): void {
    this.#reader = new Reader(this.#path);
    this.#startLoading(this.#reader);
  }

  /** Whoever asks for a lease hears of a load that failed; another follows in a while, for without one nothing is ever leased. */
  #startLoading(reader: Reader): void {
    this.#loading = this.#load(reader);
    const again = (): void => void (this.#reader === reader && this.#startLoading(reader));
    this.#loading.catch(() => setTimeout(again, RELOAD_MS).unref());
  }

  #closeReader(): void {
    this.#reader?.[Symbol.dispose]();
    this.#reader = null;
  }

  /** Fills the index in small steps, so that polls and submits are answered meanwhile. */
  async #load(reader: Reader): Promise<void> {
    const index = this.#index;
    const lost: Promise<unknown>[] = [];
    for (const chunk of reader.unfinished()) {
      const now = this.#clock.now();
      for (const { id, entry } of chunk) {
        index.add(id, entry, now);
        if (!this.#fresh || entry.status !== m.PROCESSING) continue;
        const lostId = idFromBytes(id);
        this.#suspects.add(lostId);
        // Where it cannot be written, the next load tries again.
        lost.push(this.#commits.submit([m.LOST, lostId, now, Infinity]).catch(() => {}));
      }
      await nextTurn();
      if (this.#reader !== reader) return;
    }
    await Promise.all(lost);
    if (this.#reader !== reader) return; // a commit failed: the load that follows begins anew
    this.#fresh = false;
    for (const [id, attempt] of this.#unwritten) index.skipAttempts(id, attempt);
    this.#unwritten.clear();
    this.#armDueTimer();
  }

  /** What leases of requests just taken need. Whatever keeps it from being read puts all back. */
  #takeLeasable(taken: readonly { id: string }[], now: number): (Leasable | undefined)[] {
    try {
      return taken.map(({ id }) => {
        const recent = this.#recentInputs.get(id);
        this.#recentInputs.delete(id);
        // An input is remembered for the first lease only: before that nothing can have crashed.
        return recent === undefined ? this.#read((reader) => reader.leasable(id)) : { input: recent, crashes: 0 };
      });
    } catch (error) {
      for (const { id } of taken) this.#index.putBack(id, now);
      throw error;
    }
  }

  /** Small inputs are kept for a while: where a worker is free, the lease follows the submit. */
  #remember(id: string, json: string | null): void {
    if (json === null || json.length > RECENT_INPUT_CHARS) return;
    this.#recentInputs.set(id, { json });
    if (this.#recentInputs.size <= RECENT_INPUTS) return;
    for (const oldest of this.#recentInputs.keys()) {
      this.#recentInputs.delete(oldest);
      break;
    }
  }

  /** The ids of those operations that were not refused. */
  async #done(operations: readonly Operation[]): Promise<string[]> {
    const answers = await Promise.all(operations.map((operation) => this.#commits.submit(operation)));
    return operations.filter((_, i) => typeof answers[i] !== "string").map(([, id]) => id);
  }

  /** What is durable becomes true in memory, and whoever waits for it is told. */
  #committed(batch: readonly Committed[]): void {
    const finished: string[] = [];
    const queued = new Set<string>();
    for (const { operation, answer } of batch) {
      const id = operation[1];
      applyCommitted(this.#index, operation, answer);
      if (operation[0] === m.ENQUEUE && answer === true) {
        this.#remember(id, operation[5]);
        queued.add(operation[3]);
      } else if (operation[0] === m.COMPLETE && answer === true) finished.push(id);
      else if (isTuple(answer) && answer[0] >= m.COMPLETED) finished.push(id);
      else if (isTuple(answer) && answer[0] === m.QUEUED) {
        const model = this.#index.status(id, operation[2])?.model;
        if (model !== undefined) queued.add(model);
      } else if ((operation[0] === m.DELETE || operation[0] === m.EXPIRE) && answer === true) this.#suspects.delete(id);
    }
    if (this.#suspects.size > 0) for (const id of finished) this.#suspects.delete(id);
    this.#wake(queued, finished);
    this.#armDueTimer();
  }

  #promote(now: number): void {
    this.#wake(this.#index.promote(now), []);
  }

  #wake(models: ReadonlySet<string>, finished: readonly string[]): void {
    for (const listener of this.#listeners) {
      for (const model of models) listener({ type: "queued", model });
      for (const id of finished) listener({ type: "finished", id });
    }
  }

  /** Wakes workers when the next delayed request becomes due. */
  #armDueTimer(): void {
    clearTimeout(this.#dueTimer);
    const due = this.#index.nextDue;
    if (due === undefined || this.#reader === null) return;
    const wait = Math.min(Math.max(due - this.#clock.now(), 1), 2 ** 31 - 1);
    this.#dueTimer = setTimeout(() => {
      this.#promote(this.#clock.now());
      this.#armDueTimer();
    }, wait).unref();
  }
}

function isTuple(answer: Answer): answer is m.StateTuple {
  return Array.isArray(answer);
}

function applyCommitted(index: RequestIndex, operation: Operation, answer: Answer): void {
  const id = operation[1];
  const now = operation[2];
  if (isTuple(answer)) {
    index.set(id, answer, now);
    return;
  }
  if (answer !== true) {
    if (operation[0] === m.LEASE) index.putBack(id, now);
    return;
  }
  switch (operation[0]) {
    case m.ENQUEUE: {
      const [, , , model, owner, , , , priority, createdAt, due, , expiresAt] = operation;
      index.add(
        id,
        { model, owner, status: m.QUEUED, priority, leases: 0, createdAt, expiresAt, due, startedAt: null },
        now,
      );
      break;
    }
    case m.LEASE:
      index.leased(id, operation[5], now);
      break;
    case m.COMPLETE:
      index.completed(id, operation[5], now);
      break;
    case m.DELETE:
    case m.EXPIRE:
      index.remove(id);
      break;
    default:
  }
}
