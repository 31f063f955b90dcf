import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import type { RetryPolicy } from "../../core/transition.ts";
import type { MemoryEventLog } from "../memory-event-log.ts";
import type { LeaseWish, Load, ModelDepth, Outlook, RequestStatus, Wake } from "../store.ts";
import type { Committed } from "./group-commit.ts";
import { idFromBytes } from "./id-bytes.ts";
import * as m from "./messages.ts";
import type { Answer, LeaseOperation, Operation } from "./messages.ts";
import type { Leasable, Reader } from "./reader.ts";
import { RecentInputs } from "./recent-inputs.ts";
import { Suspects } from "./suspects.ts";
import { RequestIndex, type Taken } from "./request-index.ts";

/** Wait before an index that could not be loaded is loaded anew, ms. */
const RELOAD_MS = 1_000;

/** Operations after which a request has its outcome, or is gone. */
const ENDS: ReadonlySet<number> = new Set([m.COMPLETE, m.DELETE, m.EXPIRE]);

/**
 * What the store holds in memory, kept equal to the file: loaded from it in small steps, then changed
 * by every commit. Whoever waits for a change is told of it from here.
 */
export class LiveQueue {
  readonly #clock: Clock;
  readonly #events: MemoryEventLog;
  readonly #retriesOf: (model: string) => RetryPolicy;
  readonly #submit: (operation: Operation) => Promise<Answer>;
  readonly #listeners = new Set<(wake: Wake) => void>();
  readonly #recentInputs = new RecentInputs();
  #index = new RequestIndex();
  /** Leases handed out that could not be written: their runs go on. */
  readonly #unwritten = new Map<string, LeaseOperation>();
  /** Their numbers, which are spent until a later one is in the file, whether they are written themselves or not. */
  readonly #spent = new Map<string, number>();
  /** Until a load has ended, whoever held a lease is dead: this process alone has the directory, and has leased nothing yet. */
  #fresh = true;
  readonly #suspects: Suspects;
  /** Leases that are being written. */
  #leasing = 0;
  /** Dead letters that nobody has heard of yet. */
  #deadLetters: RequestStatus[] = [];
  #onDeadLetter: ((request: RequestStatus) => void) | undefined;
  /** Null while the file is closed after a failed commit. */
  #reader: Reader | null = null;
  #loading: Promise<void> = Promise.resolve();
  #dueTimer: NodeJS.Timeout | undefined;
  readonly load: Load;

  /** `events` is told of the leases that end; `submit` sends an operation to the writer. */
  constructor(
    clock: Clock,
    events: MemoryEventLog,
    retriesOf: (model: string) => RetryPolicy,
    submit: (operation: Operation) => Promise<Answer>,
  ) {
    this.#clock = clock;
    this.#events = events;
    this.#retriesOf = retriesOf;
    this.#suspects = new Suspects((model) => retriesOf(model).crashes);
    this.#submit = submit;
    const now = (): Load => this.#index.load;
    const whole = (): boolean => this.#index.isWhole;
    const all = (): Promise<void> => this.loaded();
    this.load = {
      get waiting() {
        return now().waiting;
      },
      waitingFor: (model) => now().waitingFor(model),
      unfinishedOf: (key) => now().unfinishedOf(key),
      get counting() {
        return whole() ? undefined : all();
      },
    };
  }

  /** Whether a request that ran when the process before this one ended may still have no outcome. */
  get suspects(): boolean {
    return this.#fresh || !this.#suspects.isEmpty;
  }

  /** Whether the request may have been in the file when it was opened first. */
  isOfBefore(id: string): boolean {
    return this.#suspects.isOfBefore(id);
  }

  /** The file is open: what is known of it is read anew. `unclean`: the process before this one stopped without saying so. */
  open(reader: Reader, unclean: boolean): void {
    this.#reader = reader;
    this.#index = new RequestIndex();
    this.#leasing = 0;
    this.#startLoading(reader, unclean);
  }

  /** The file is closed. What is in memory stays to be read. */
  close(): void {
    clearTimeout(this.#dueTimer);
    this.#reader = null;
  }

  async loaded(): Promise<void> {
    // A failed commit meanwhile starts another load.
    for (let loading; loading !== this.#loading;) await (loading = this.#loading);
  }

  /** Undefined says nothing: the index holds not every finished request, and none while it loads. Null: it has expired. */
  status(id: string, now: number): RequestStatus | undefined | null {
    return this.#index.status(id, now);
  }

  outlook(id: string, now: number): Outlook | undefined {
    return this.#index.outlook(id, now);
  }

  depths(now: number): Map<string, ModelDepth> {
    return this.#index.depths(now);
  }

  lostLeases(now: number): string[] {
    return this.#index.lostLeases(now);
  }

  /** Takes requests out of the queue for their leases to be written, with what their runs need. */
  take(capacity: LeaseWish["capacity"], now: number, reader: Reader): (Taken & Leasable)[] {
    this.promote(now);
    if (this.#suspects.keepsOut(capacity.keys(), (id) => this.#isRunning(id, now))) return [];
    const taken = [...capacity].flatMap(([model, most]) => this.#index.take(model, most, now));
    try {
      const leasable = taken.flatMap((request) => {
        const found = this.#recentInputs.take(request.id) ?? reader.leasable(request.id);
        return found === undefined ? [] : [{ ...request, ...found }]; // deleted, and the index is about to hear of it
      });
      const leased = this.#suspects.choose(leasable, () => this.#isHostEmpty);
      if (leased !== leasable) for (const one of leasable) if (!leased.includes(one)) this.#index.putBack(one.id, now);
      this.#leasing += leased.length;
      return leased;
    } catch (error) {
      for (const { id } of taken) this.#index.putBack(id, now);
      throw error;
    }
  }

  get #isHostEmpty(): boolean {
    return this.#index.running + this.#leasing === 0;
  }

  #isRunning(id: string, now: number): boolean {
    return this.#leasing > 0 || this.#index.status(id, now)?.status === "PROCESSING";
  }

  /** This lease was handed out and could not be written. It is as soon as the file takes commits again, before anything else. */
  notWritten(operation: LeaseOperation): void {
    this.#unwritten.set(operation[1], operation);
    this.#spent.set(operation[1], operation[6]);
  }

  /** What is durable becomes true in memory, and whoever waits for it is told. */
  committed(batch: readonly Committed[]): void {
    const finished: string[] = [];
    const changed: string[] = [];
    const queued = new Set<string>();
    for (const { operation, answer } of batch) {
      const id = operation[1];
      applyCommitted(this.#index, operation, answer);
      fence(this.#events, operation, answer);
      if (operation[0] === m.LEASE && this.#leasing > 0) this.#leasing--;
      if (operation[0] === m.ENQUEUE && answer === true) {
        this.#recentInputs.remember(id, operation[5], operation[17]);
        queued.add(operation[3]);
      } else if (answer === true && ENDS.has(operation[0])) finished.push(id);
      else if (answer === true && operation[0] === m.LEASE) {
        if (this.#spent.size > 0) this.#spent.delete(id);
        changed.push(id);
      } else if (m.isTuple(answer) && answer[0] >= m.COMPLETED) {
        finished.push(id);
        if (answer[9]) this.#died(id, operation[2]);
      } else if (m.isTuple(answer) && answer[0] === m.QUEUED) {
        const model = this.#index.status(id, operation[2])?.model;
        if (model !== undefined) queued.add(model);
        changed.push(id);
      }
    }
    this.#suspects.acquit(finished);
    if (this.#spent.size > 0) for (const id of finished) this.#spent.delete(id);
    for (const model of this.#suspects.letIn(() => this.#isHostEmpty)) queued.add(model);
    this.#wake(queued, changed, finished);
    this.#armDueTimer();
  }

  /** Makes leasable what has become due. */
  promote(now: number): void {
    this.#wake(this.#index.promote(now), [], []);
  }

  /** Tells `listener` of the dead letters so far, and of each that follows. */
  onDeadLetter(listener: (request: RequestStatus) => void): void {
    this.#onDeadLetter = listener;
    for (const request of this.#deadLetters.splice(0)) listener(request);
  }

  #died(id: string, now: number): void {
    const request = this.#index.status(id, now) ?? this.#reader?.status(id, now);
    if (request === undefined) return;
    if (this.#onDeadLetter === undefined) this.#deadLetters.push(request);
    else this.#onDeadLetter(request);
  }

  onWake(listener: (wake: Wake) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #wake(models: ReadonlySet<string>, changed: readonly string[], finished: readonly string[]): void {
    for (const listener of this.#listeners) {
      for (const model of models) listener({ type: "queued", model });
      for (const id of changed) listener({ type: "changed", id });
      for (const id of finished) listener({ type: "finished", id });
    }
  }

  /** Whoever asks for a lease hears of a load that failed; another follows in a while, for without one nothing is ever leased. */
  #startLoading(reader: Reader, unclean: boolean): void {
    this.#loading = this.#load(reader, unclean);
    const again = (): void => void (this.#reader === reader && this.#startLoading(reader, unclean));
    this.#loading.catch(() => setTimeout(again, RELOAD_MS).unref());
  }

  /** Fills the index in small steps, so that polls and submits are answered meanwhile. */
  async #load(reader: Reader, unclean: boolean): Promise<void> {
    const index = this.#index;
    const unwritten = [...this.#unwritten.values()];
    this.#leasing += unwritten.length;
    if (unwritten.length > 0) await Promise.all(unwritten.map((lease) => this.#writeLate(lease)));
    if (this.#reader !== reader) return;
    const lost: Promise<unknown>[] = [];
    for (const chunk of reader.unfinished()) {
      const now = this.#clock.now();
      for (const { id: bytes, entry, crashes } of chunk) {
        index.add(bytes, entry, now);
        if (!this.#fresh || (entry.status !== m.PROCESSING && (!unclean || crashes === 0))) continue;
        const id = idFromBytes(bytes);
        this.#suspects.add(id);
        // Where it cannot be written, the next load tries again.
        if (entry.status === m.PROCESSING)
          lost.push(this.#submit([m.LOST, id, now, Infinity, this.#retriesOf(entry.model)]).catch(() => {}));
      }
      if (this.#fresh && chunk.length > 0) this.#suspects.wasThere(idFromBytes(chunk.at(-1)!.id));
      await nextTurn();
      if (this.#reader !== reader) return;
    }
    await Promise.all(lost);
    if (this.#reader !== reader) return; // a commit failed: the load that follows begins anew
    index.loaded(this.#clock.now());
    this.#fresh = false;
    for (const [id, attempt] of this.#spent) {
      if (!index.skipAttempts(id, attempt)) this.#spent.delete(id);
    }
    this.#armDueTimer();
  }

  /** The lease as it was granted, with as much time left as it was granted. Once: asked for again it would be refused, and seem to be over. */
  async #writeLate([kind, id, leasedAt, token, worker, deadline, attempt]: LeaseOperation): Promise<void> {
    await this.#submit([kind, id, leasedAt, token, worker, this.#clock.now() + deadline - leasedAt, attempt]);
    this.#unwritten.delete(id);
  }

  /** Wakes workers when the next delayed request becomes due. */
  #armDueTimer(): void {
    clearTimeout(this.#dueTimer);
    const due = this.#index.nextDue;
    if (due === undefined || this.#reader === null) return;
    const wait = Math.min(Math.max(due - this.#clock.now(), 1), 2 ** 31 - 1);
    this.#dueTimer = setTimeout(() => {
      this.promote(this.#clock.now());
      this.#armDueTimer();
    }, wait).unref();
  }
}

function applyCommitted(index: RequestIndex, operation: Operation, answer: Answer): void {
  const id = operation[1];
  const now = operation[2];
  if (m.isTuple(answer)) {
    index.set(id, answer, now);
    return;
  }
  if (answer !== true) {
    if (operation[0] === m.LEASE) index.putBack(id, now);
    return;
  }
  switch (operation[0]) {
    case m.ENQUEUE: {
      const [, , , model, owner, , , , priority, createdAt, due, startDeadline, expiresAt] = operation;
      const made = { model, owner, key: operation[20], status: m.QUEUED, priority, leases: 0 };
      const entry = { ...made, createdAt, expiresAt, due, startDeadline };
      index.add(id, entry, now);
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
    case m.EXPIRE_BY:
      index.expireBy(id, operation[3]);
      break;
    default:
  }
}

/** Ends a lease in the event log, where `operation` has, or was refused because it no longer held. */
function fence(events: MemoryEventLog, operation: Operation, answer: Answer): void {
  const id = operation[1];
  switch (operation[0]) {
    case m.LEASE:
    case m.HEARTBEAT:
      if (typeof answer === "string") events.ended(id, operation[3]);
      return;
    case m.COMPLETE:
    case m.FAIL:
    case m.RELEASE:
      if (answer === true || typeof answer === "string" || m.isTuple(answer)) events.ended(id, operation[3]);
      return;
    case m.LOST:
    case m.CANCEL:
      if (m.isTuple(answer)) events.ended(id);
      return;
    case m.DELETE:
    case m.EXPIRE:
      if (answer === true) events.gone(id);
      return;
    default:
  }
}
