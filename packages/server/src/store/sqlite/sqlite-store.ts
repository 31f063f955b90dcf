import { statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import { InferqError, sentence } from "../../core/errors.ts";
import { isId, randomToken } from "../../core/ids.ts";
import { isFinished, type PastAttempt, type Request, type Submission } from "../../core/request.ts";
import { DEFAULT_RETRIES, type RetryPolicy } from "../../core/transition.ts";
import { MemoryEventLog } from "../memory-event-log.ts";
import type {
  DeadLetterPage,
  DeadLetterWish,
  EnqueueAnswer,
  ExpiredRequest,
  Finish,
  Lease,
  LeaseWish,
  ListWish,
  Load,
  Outlook,
  RequestPage,
  RequestStatus,
  SettleAnswer,
  Settlement,
  StoreDriver,
  StoreStats,
  Swept,
  Wake,
} from "../store.ts";
import { SqliteDeliveries } from "./deliveries.ts";
import { readable } from "./faults.ts";
import { type Committed, GroupCommit } from "./group-commit.ts";
import { LiveQueue } from "./live-queue.ts";
import { lockDirectory } from "./lock.ts";
import * as m from "./messages.ts";
import type { LeaseOperation, Operation } from "./messages.ts";
import type { Stretch } from "./lister.ts";
import { Reader } from "./reader.ts";

/** Operations that waited longer than this for their COMMIT, ms, waited for a store that stood still. */
const STOOD_STILL_MS = 1_000;

/** After the store took nothing, holders of leases have this long to extend them, ms: several times as long as a worker waits between its tries. */
const EXTEND_WITHIN_MS = 5_000;

/** Pages given back to the file system by one sweep: 4 MB. */
const VACUUM_PAGES = 256;

/** Steps in which a page of a list is looked for, each some milliseconds: after them, the caller is told where to go on. */
const LIST_STEPS = 16;

export interface SqliteStoreOptions {
  /** The data directory; made if it is missing. One store at a time holds it. */
  readonly directory: string;
  readonly clock: Clock;
  /** How often requests of a model are tried again; left out, and of models that are not served any more: `DEFAULT_RETRIES`. */
  readonly retriesOf?: (model: string) => RetryPolicy | undefined;
}

export interface SqliteStore extends StoreDriver {
  /** Whether the process before this one stopped without saying so, and a request that it ran has no outcome yet: lease durably. */
  readonly unclean: boolean;
  /** When the newest request was made that the file held when it was opened; null: it held none. */
  readonly newestAt: number | null;
  status(id: string): RequestStatus | undefined;
  readonly load: Load;
  outlook(id: string): Outlook | undefined;
  /** Resolves when the index is loaded. Status polls and submits need not wait for it; leases do. */
  loaded(): Promise<void>;
}

/**
 * Opens the store in `directory`. Throws one sentence for people where the directory is in use by
 * another server, cannot be written, or was written by a newer version.
 */
export async function sqliteStore({ directory, clock, retriesOf }: SqliteStoreOptions): Promise<SqliteStore> {
  const retries = (model: string): RetryPolicy => retriesOf?.(model) ?? DEFAULT_RETRIES;
  const store = new Store(join(directory, "inferq.db"), clock, retries, lockDirectory(directory));
  try {
    await store.open();
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class Store implements SqliteStore {
  readonly events: MemoryEventLog;
  readonly deliveries: SqliteDeliveries;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #retriesOf: (model: string) => RetryPolicy;
  readonly #unlock: () => void;
  readonly #commits: GroupCommit;
  readonly #queue: LiveQueue;
  /** Stays while the file takes no commits: what is in it can still be read. */
  #reader: Reader | null = null;
  /** Until then no lease counts as lost. */
  #leasesHoldUntil = -Infinity;
  #leftUncleanly = false;
  newestAt: number | null = null;
  #disposed = false;

  constructor(path: string, clock: Clock, retriesOf: (model: string) => RetryPolicy, unlock: () => void) {
    this.#path = path;
    this.#clock = clock;
    this.#retriesOf = retriesOf;
    this.#unlock = unlock;
    this.events = new MemoryEventLog(clock);
    this.#queue = new LiveQueue(clock, this.events, retriesOf, (operation) => this.#commits.submit(operation));
    this.deliveries = new SqliteDeliveries({
      clock,
      submit: (operation) => this.#commits.submit(operation),
      read: (read) => this.#read((reader) => read(reader.deliveries)),
      caughtUp: async () => {
        if (this.#commits.isCommitting) await this.#commits.heard();
      },
    });
    this.#commits = new GroupCommit(path, {
      committed: (batch) => this.#committed(batch),
      deliveries: (news) => this.deliveries.heard(news),
      broken: () => this.#queue.close(),
      reopened: () => {
        this.#holdLeases();
        this.#openReader();
      },
    });
  }

  async open(): Promise<void> {
    this.#leftUncleanly = await this.#commits.open();
    await this.#catchUp();
    this.#openReader();
  }

  /** Where the clock was set back since the last request came, what waits for a time waits for one that is far away: it is due now. */
  async #catchUp(): Promise<void> {
    using reader = new Reader(this.#path);
    this.newestAt = reader.newestAt();
    const now = this.#clock.now();
    if (this.newestAt !== null && this.newestAt > now) await this.#commits.submit([m.CATCH_UP, "", now]);
  }

  get unclean(): boolean {
    return this.#leftUncleanly && this.#queue.suspects;
  }

  async loaded(): Promise<void> {
    await this.#queue.loaded();
  }

  async enqueue(submission: Submission): Promise<EnqueueAnswer> {
    const answer = await this.#commits.submit(m.enqueueOperation(submission, this.#clock.now()));
    if (answer === true) return { ok: true };
    if (typeof answer === "object" && "idempotencyDigest" in answer) return { ok: false, ...answer };
    throw new Error(`Enqueueing ${submission.id} was answered ${JSON.stringify(answer)}.`);
  }

  status(id: string): RequestStatus | undefined {
    if (!isId(id)) return undefined;
    const now = this.#clock.now();
    const status = this.#queue.status(id, now);
    return status === undefined ? this.#read((reader) => reader.status(id, now)) : (status ?? undefined);
  }

  get load(): Load {
    return this.#queue.load;
  }

  outlook(id: string): Outlook | undefined {
    return this.#queue.outlook(id, this.#clock.now());
  }

  async get(id: string): Promise<Request | undefined> {
    if (!isId(id)) return undefined;
    for (;;) {
      const found = this.#read((reader) => reader.request(id, this.#clock.now()));
      if (found === undefined || !this.#isAhead(found)) return found;
      await this.#commits.heard();
    }
  }

  async list(wish: ListWish): Promise<RequestPage> {
    const { found, next } = await this.#inSteps(wish, (reader, asked, now) => reader.list(asked, now));
    return { requests: found, next };
  }

  async deadLetters(wish: DeadLetterWish): Promise<DeadLetterPage> {
    const { found, next } = await this.#inSteps(wish, (reader, asked, now) => reader.deadLetters(asked, now));
    return { deadLetters: found, next };
  }

  async pastAttempts(id: string): Promise<readonly PastAttempt[]> {
    return isId(id) ? this.#read((reader) => reader.pastAttempts(id, this.#clock.now())) : [];
  }

  async lease({ worker, capacity, leaseMs, durable: wanted }: LeaseWish): Promise<Lease[]> {
    await this.loaded();
    const reader = this.#opened();
    if (!this.#commits.isOpen) throw new InferqError("store_unavailable"); // else leases would be handed out unwritten
    const now = this.#clock.now();
    const deadline = now + leaseMs;
    const leases: Lease[] = [];
    const written: Promise<boolean>[] = [];
    const taken = this.#queue.take(capacity, now, reader);
    const isDurable =
      wanted || this.#commits.isDoubtful || (this.#leftUncleanly && taken.some(({ id }) => this.#queue.isOfBefore(id)));
    for (const request of taken) {
      const { id, attempt } = request;
      const token = randomToken();
      leases.push({ ...request, token, deadline });
      this.events.leased(id, token, attempt);
      const operation: LeaseOperation = [m.LEASE, id, now, token, worker, deadline, attempt];
      const held = this.#commits.submit(operation).then((answer) => answer === true);
      written.push(held);
      held.catch(() => {
        if (isDurable) this.events.ended(id, token);
        else this.#queue.notWritten(operation); // its run has begun
      });
    }
    if (!isDurable) return leases;
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
    const retries = (): RetryPolicy => this.#retriesOf(this.status(id)?.model ?? "");
    const answer = await this.#commits.submit(m.settleOperation(id, token, settlement, this.#clock.now(), retries));
    if (answer === true) return { ok: true, status: "COMPLETED" };
    if (m.isTuple(answer)) return { ok: true, status: m.STATUSES[answer[0]]! };
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

  async expireBy(id: string, at: number): Promise<boolean> {
    return isId(id) && (await this.#commits.submit([m.EXPIRE_BY, id, this.#clock.now(), at])) === true;
  }

  async sweep(limit: number): Promise<Swept> {
    const now = this.#clock.now();
    this.#queue.promote(now);
    const message = sentence("start_timeout");
    // What has expired is told all the same: its files may be what fills the disk.
    if (!this.#commits.isOpen) return { lost: [], startTimedOut: [], expired: this.#expired(now, limit) };
    const overdue = this.#read((reader) => reader.startOverdue(now, limit));
    const lostOf = (id: string): Operation => [m.LOST, id, now, now, this.#retriesOf(this.status(id)?.model ?? "")];
    const lostLeases = now < this.#leasesHoldUntil ? [] : this.#queue.lostLeases(now);
    const [lost, startTimedOut] = await Promise.all([
      this.#done(lostLeases.map(lostOf)),
      this.#done(overdue.map((id) => [m.START_TIMEOUT, id, now, message])),
      this.#commits.submit([m.VACUUM, "", now, VACUUM_PAGES]),
    ]);
    return { lost, startTimedOut, expired: this.#expired(now, limit) };
  }

  stats(): StoreStats {
    const bytes = [this.#path, `${this.#path}-wal`]
      .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size);
    return { models: this.#queue.depths(this.#clock.now()), bytes, ...this.#commits.takeDurations() };
  }

  onWake(listener: (wake: Wake) => void): () => void {
    return this.#queue.onWake(listener);
  }

  onDeadLetter(listener: (request: RequestStatus) => void): void {
    this.#queue.onDeadLetter(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#commits.close(() => this.#closeReader());
    await Promise.allSettled([this.#queue.loaded()]);
    this.#unlock();
  }

  #opened(): Reader {
    if (this.#reader === null) throw new InferqError(this.#disposed ? "shutting_down" : "store_unavailable");
    return this.#reader;
  }

  #read<T>(read: (reader: Reader) => T): T {
    return readable(() => read(this.#opened()));
  }

  /** One step of a list. */
  async #stretch<T extends RequestStatus>(step: (reader: Reader, now: number) => Stretch<T>): Promise<Stretch<T>> {
    for (;;) {
      const stretch = this.#read((reader) => step(reader, this.#clock.now()));
      if (!stretch.found.some((one) => this.#isAhead(one))) return stretch;
      await this.#commits.heard();
    }
  }

  /** Whether the file shows an outcome that memory is about to hear of: told now, a poll after it would take it back. */
  #isAhead({ id, status }: RequestStatus): boolean {
    if (!isFinished(status) || !this.#commits.isCommitting) return false;
    const known = this.#queue.status(id, this.#clock.now());
    return known != null && !isFinished(known.status);
  }

  #expired(now: number, limit: number): readonly ExpiredRequest[] {
    return this.#read((reader) => reader.expired(now, limit));
  }

  #committed(batch: readonly Committed[]): void {
    const calledAt = batch[0]!.operation[2];
    if (this.#clock.now() - calledAt > STOOD_STILL_MS) this.#holdLeases();
    this.#queue.committed(batch);
  }

  /** Whoever holds a lease could not extend it while the store took nothing: it may now. */
  #holdLeases(): void {
    this.#leasesHoldUntil = this.#clock.now() + EXTEND_WITHIN_MS;
  }

  /**
   * The former reader goes after the new one has come: a connection that stays open knows where the log ends, so
   * that what a failed commit left behind that end counts for nothing and is written over by the next.
   */
  #openReader(): void {
    const former = this.#reader;
    this.#reader = new Reader(this.#path);
    former?.[Symbol.dispose]();
    this.#queue.open(this.#reader, this.#leftUncleanly);
  }

  #closeReader(): void {
    this.#queue.close();
    this.#reader?.[Symbol.dispose]();
    this.#reader = null;
  }

  /** A page of a list, gathered in steps between which others have their turn. */
  async #inSteps<Wish extends { readonly limit: number; readonly before?: string }, T extends RequestStatus>(
    wish: Wish,
    step: (reader: Reader, asked: Wish, now: number) => Stretch<T>,
  ): Promise<{ found: T[]; next: string | null }> {
    const found: T[] = [];
    let asked = wish;
    for (let steps = 0; steps < LIST_STEPS; steps++) {
      if (steps > 0) await nextTurn();
      const from = asked;
      const stretch = await this.#stretch((reader, now) => step(reader, from, now));
      found.push(...stretch.found);
      if (stretch.next === null) return { found, next: null };
      asked = { ...wish, before: stretch.next, limit: wish.limit - found.length };
      if (asked.limit === 0) break;
    }
    return { found, next: asked.before! };
  }

  /** The ids of those operations that were not refused. */
  async #done(operations: readonly Operation[]): Promise<string[]> {
    const answers = await Promise.all(operations.map((operation) => this.#commits.submit(operation)));
    return operations.filter((_, i) => typeof answers[i] !== "string").map(([, id]) => id);
  }
}
