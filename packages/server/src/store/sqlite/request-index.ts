import { type Counter, LoadCount } from "../load-count.ts";
import type { ModelDepth, Outlook, RequestStatus } from "../store.ts";
import { DelayedQueue } from "./delayed-queue.ts";
import { FinishedRing } from "./finished-ring.ts";
import { COMPLETED, PROCESSING, QUEUED, STATUSES } from "./messages.ts";
import type { StateTuple } from "./messages.ts";
import { ModelQueue } from "./model-queue.ts";
import { Names } from "./names.ts";
import { SlotTable } from "./slot-table.ts";

/** Status of a slot whose request is gone while a queue still holds it. */
const GONE = 4;

/** Which queue holds a slot: none, the ready or the delayed ones of its model, the ring of finished ones. */
const NOWHERE = 0;
const READY = 1;
const DELAYED = 2;
const RING = 3;

/** What the index must know of a request when it comes in. */
export interface Entry {
  readonly model: string;
  readonly owner: string;
  readonly key: string;
  readonly status: number;
  readonly priority: number;
  readonly leases: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** QUEUED: not before. PROCESSING: the lease's deadline. */
  readonly due: number;
  readonly startDeadline: number | null;
  readonly startedAt?: number | null;
}

/** What the index knows of a request that is about to be leased. */
export interface Taken {
  readonly id: string;
  readonly model: string;
  readonly owner: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Number of the lease. */
  readonly attempt: number;
}

/**
 * The queue and what a status poll needs, in memory. It holds every unfinished request, and those that
 * finished lately. It changes only by what has been committed, but for `take`, which reserves.
 */
export class RequestIndex {
  readonly load: LoadCount = new LoadCount();
  readonly #slots = new SlotTable();
  readonly #queues: ModelQueue[] = [];
  readonly #modelNumbers = new Map<string, number>();
  readonly #owners = new Names();
  readonly #keys = new Names();
  /** By the numbers of the keys. */
  readonly #unfinishedOf: Counter[] = [];
  readonly #delayed = new DelayedQueue(this.#slots);
  readonly #leased = new Set<number>();
  readonly #finished = new FinishedRing();
  /** While the index is loaded: the requests that came meanwhile. They stand behind all that are still to be read. */
  #behind: number[] | null = [];

  /** Adds a request, by the text or the bytes of its id. One that is here already stays as it is. */
  add(id: string | Uint8Array, entry: Entry, now: number): void {
    const slots = this.#slots;
    if (typeof id === "string" ? slots.find(id) >= 0 : slots.has(id)) return;
    const slot = typeof id === "string" ? slots.addText(id) : slots.add(id);
    slots.model[slot] = this.#modelNumber(entry.model);
    slots.owner[slot] = this.#owners.number(entry.owner);
    slots.key[slot] = this.#keyNumber(entry.key);
    slots.priority[slot] = entry.priority;
    slots.leases[slot] = entry.leases;
    slots.createdAt[slot] = entry.createdAt;
    slots.expiresAt[slot] = entry.expiresAt;
    slots.due[slot] = entry.due;
    slots.startedAt[slot] = (entry.leases > 0 ? entry.startedAt : entry.startDeadline) ?? NaN;
    slots.number[slot] = NaN;
    slots.told[slot] = Infinity;
    slots.status[slot] = GONE;
    slots.place[slot] = NOWHERE;
    const queue = this.#queueOf(slot);
    queue.line(slot).enter(slot);
    if (entry.status === PROCESSING) {
      queue.line(slot).await(slot);
      this.#run(slot);
    } else {
      this.#become(slot, QUEUED);
      if (this.#behind !== null && typeof id === "string") this.#behind.push(slot);
      else queue.join(slot, entry.due <= now);
      this.#wait(slot, now);
    }
  }

  /** Everything in the file has been added. */
  loaded(now: number): void {
    const { status, number, due } = this.#slots;
    for (const slot of this.#behind ?? []) {
      if (status[slot] === QUEUED && Number.isNaN(number[slot]!)) this.#queueOf(slot).join(slot, due[slot]! <= now);
    }
    this.#behind = null;
  }

  /** How many hold a lease. */
  get running(): number {
    return this.#leased.size;
  }

  /** Whether everything in the file has been added. */
  get isWhole(): boolean {
    return this.#behind === null;
  }

  /** Undefined: not here, which says nothing. Null: it has expired. */
  status(id: string, now: number): RequestStatus | undefined | null {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return undefined;
    if (slots.expiresAt[slot]! <= now) return null;
    const finished = slots.status[slot]! >= COMPLETED;
    return {
      id,
      owner: this.#owners.name(slots.owner[slot]!),
      model: this.#queueOf(slot).name,
      status: STATUSES[slots.status[slot]!]!,
      createdAt: slots.createdAt[slot]!,
      startedAt: slots.leases[slot]! > 0 ? orNull(slots.startedAt[slot]!) : null,
      finishedAt: finished ? slots.finishedAt[slot]! : null,
      inferenceMs: finished ? orNull(slots.inferenceMs[slot]!) : null,
      leases: slots.leases[slot]!,
      failure: finished ? this.#finished.failure(slot) : null,
      expiresAt: slots.expiresAt[slot]!,
    };
  }

  /** What can be told of an unfinished request, by any text. Undefined: nothing, or not until all is loaded. */
  outlook(id: string, now: number): Outlook | undefined {
    const slots = this.#slots;
    const slot = this.#behind === null ? slots.findAny(id) : -1;
    if (slot < 0 || slots.expiresAt[slot]! <= now) return undefined;
    const queue = this.#queueOf(slot);
    if (slots.status[slot] === PROCESSING) {
      return { position: null, delayed: false, remainingMs: queue.pace.runningFor(now - slots.startedAt[slot]!) };
    }
    if (slots.status[slot] !== QUEUED) return undefined;
    const rank = queue.rank(slot);
    const position = Math.min(rank, slots.told[slot]!);
    slots.told[slot] = position;
    const delayMs = Math.max(0, slots.due[slot]! - now);
    return { position, delayed: delayMs > 0, remainingMs: queue.pace.waiting(rank, delayMs) };
  }

  /** Takes the first `most` leasable requests of `model` out of its queue, for their lease to be written. */
  take(model: string, most: number, now: number): Taken[] {
    const slots = this.#slots;
    const queue = this.#queues[this.#modelNumbers.get(model) ?? -1];
    const taken: Taken[] = [];
    if (queue === undefined) return taken;
    for (let slot; taken.length < most && (slot = queue.take(now)) >= 0;) {
      slots.place[slot] = NOWHERE;
      taken.push({
        id: slots.id(slot),
        model,
        owner: this.#owners.name(slots.owner[slot]!),
        createdAt: slots.createdAt[slot]!,
        expiresAt: slots.expiresAt[slot]!,
        attempt: slots.leases[slot]! + 1,
      });
    }
    return taken;
  }

  /** The lease that `take` reserved will not be written: back into the queue, if it still waits. */
  putBack(id: string, now: number): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0 || slots.status[slot] !== QUEUED || slots.place[slot] !== NOWHERE) return;
    this.#queueOf(slot).line(slot).stepAside(slot);
    this.#wait(slot, now);
  }

  /** The lease that `take` reserved is written. */
  leased(id: string, deadline: number, now: number): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return;
    this.#stop(slot);
    slots.leases[slot]! += 1;
    slots.due[slot] = deadline;
    slots.startedAt[slot] = now;
    this.#run(slot);
  }

  /** Attempts of `id` up to this number were handed out. Answers whether the file knows of fewer. */
  skipAttempts(id: string, leases: number): boolean {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0 || slots.leases[slot]! >= leases) return false;
    if (slots.leases[slot] === 0) slots.startedAt[slot] = NaN; // no deadline any more: it was started
    slots.leases[slot] = leases;
    return true;
  }

  completed(id: string, inferenceMs: number, now: number): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return;
    this.#queueOf(slot).pace.completed(now - slots.startedAt[slot]!);
    this.#finish(slot, COMPLETED, now, inferenceMs);
  }

  /** The state that the writer answered. */
  set(id: string, tuple: StateTuple, now: number): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return;
    const [status, leases, notBefore, deadline, startedAt, finishedAt, inferenceMs, code, message] = tuple;
    if (leases > 0) slots.startedAt[slot] = startedAt!;
    slots.leases[slot] = leases;
    if (code !== null) this.#finished.failed(slot, { code, message: message! });
    if (status === PROCESSING) {
      this.#stop(slot);
      slots.due[slot] = deadline!;
      this.#run(slot);
    } else if (status === QUEUED) {
      // A chunk read from the file meanwhile may have brought this state already.
      if (slots.status[slot] === QUEUED && slots.place[slot] !== NOWHERE) return;
      this.#stop(slot);
      this.#become(slot, QUEUED);
      slots.due[slot] = notBefore;
      this.#queueOf(slot).line(slot).rejoin(slot);
      this.#wait(slot, now);
    } else {
      this.#finish(slot, status, finishedAt!, inferenceMs);
    }
  }

  /** Lets a request expire at `at`, unless it does so earlier anyway. */
  expireBy(id: string, at: number): void {
    const slot = this.#slots.find(id);
    if (slot >= 0) this.#slots.expiresAt[slot] = Math.min(this.#slots.expiresAt[slot]!, at);
  }

  remove(id: string): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return;
    slots.forget(slot);
    this.#finished.forget(slot);
    this.#stop(slot);
    const was = slots.status[slot]!;
    this.#become(slot, GONE);
    if (slots.place[slot] === NOWHERE) slots.free(slot);
    else if (was === QUEUED) this.#staled(slot);
    if (was <= PROCESSING) this.#queueOf(slot).line(slot).exit(slot);
  }

  /** Moves what has become due to the ready queues; answers the models that got some. */
  promote(now: number): Set<string> {
    const woken = new Set<string>();
    for (let slot; (slot = this.#delayed.take(now)) >= 0;) {
      this.#left(slot);
      if (this.#slots.status[slot] !== QUEUED) continue;
      this.#wait(slot, now);
      woken.add(this.#queueOf(slot).name);
    }
    return woken;
  }

  /** When the next delayed request becomes due, or undefined. */
  get nextDue(): number | undefined {
    return this.#delayed.nextDue;
  }

  /** Ids of the live leases that ran out by `now`. */
  lostLeases(now: number): string[] {
    const lost: string[] = [];
    for (const slot of this.#leased) {
      if (this.#slots.due[slot]! <= now && this.#slots.expiresAt[slot]! > now) lost.push(this.#slots.id(slot));
    }
    return lost;
  }

  /** Walks every slot: some milliseconds for a million. */
  depths(now: number): Map<string, ModelDepth> {
    const { status, model, expiresAt, createdAt, used } = this.#slots;
    const counts = this.#queues.map(() => ({ queued: 0, processing: 0, oldest: Infinity }));
    for (let slot = 0; slot < used; slot++) {
      if (status[slot]! > PROCESSING || expiresAt[slot]! <= now) continue;
      const count = counts[model[slot]!]!;
      if (status[slot] === PROCESSING) count.processing++;
      else {
        count.queued++;
        if (createdAt[slot]! < count.oldest) count.oldest = createdAt[slot]!;
      }
    }
    const depths = new Map<string, ModelDepth>();
    for (const [number, { queued, processing, oldest }] of counts.entries()) {
      if (queued + processing === 0) continue;
      depths.set(this.#queues[number]!.name, { queued, processing, oldestCreatedAt: queued > 0 ? oldest : null });
    }
    return depths;
  }

  #wait(slot: number, now: number): void {
    const slots = this.#slots;
    const ready = slots.due[slot]! <= now;
    slots.place[slot] = ready ? READY : DELAYED;
    if (ready) this.#queueOf(slot).line(slot).push(slot);
    else this.#delayed.push(slot);
  }

  #run(slot: number): void {
    this.#become(slot, PROCESSING);
    this.#leased.add(slot);
    this.#queueOf(slot).pace.began();
  }

  /** It waits or runs no more; its new status follows. */
  #stop(slot: number): void {
    const { status, number } = this.#slots;
    const queue = this.#queueOf(slot);
    if (this.#leased.delete(slot)) queue.pace.ended();
    else if (status[slot] === QUEUED && !Number.isNaN(number[slot]!)) queue.line(slot).leave(slot);
  }

  #become(slot: number, status: number): void {
    const slots = this.#slots;
    const before = slots.status[slot]!;
    slots.status[slot] = status;
    const waiting = Number(status === QUEUED) - Number(before === QUEUED);
    this.load.waiting += waiting;
    this.#queueOf(slot).waiting.count += waiting;
    this.#unfinishedOf[slots.key[slot]!]!.count += Number(status <= PROCESSING) - Number(before <= PROCESSING);
  }

  #finish(slot: number, status: number, finishedAt: number, inferenceMs: number | null): void {
    const slots = this.#slots;
    this.#stop(slot);
    slots.finishedAt[slot] = finishedAt;
    slots.inferenceMs[slot] = inferenceMs ?? NaN;
    this.#become(slot, status);
    if (slots.place[slot] === NOWHERE) this.#left(slot);
    else this.#staled(slot);
    this.#queueOf(slot).line(slot).exit(slot);
  }

  /** A slot in no queue any more: free it, keep it with the finished ones, or leave it to wait for its lease. */
  #left(slot: number): void {
    const slots = this.#slots;
    slots.place[slot] = NOWHERE;
    if (slots.status[slot] === GONE) slots.free(slot);
    else if (slots.status[slot]! >= COMPLETED) this.#keep(slot);
  }

  /** Puts a finished slot into the ring, in place of the oldest there. */
  #keep(slot: number): void {
    const slots = this.#slots;
    slots.place[slot] = RING;
    const oldest = this.#finished.keep(slot);
    if (oldest < 0) return;
    if (slots.status[oldest] !== GONE) slots.forget(oldest);
    slots.status[oldest] = GONE;
    slots.free(oldest);
  }

  /** One that no longer waits is still in a queue. */
  #staled(slot: number): void {
    if (this.#slots.place[slot] === READY) this.#queueOf(slot).line(slot).staled(slot);
    else if (this.#slots.place[slot] === DELAYED) for (const gone of this.#delayed.staled()) this.#left(gone);
  }

  #queueOf(slot: number): ModelQueue {
    return this.#queues[this.#slots.model[slot]!]!;
  }

  #keyNumber(name: string): number {
    const number = this.#keys.number(name);
    this.#unfinishedOf[number] ??= this.load.keyCounter(name);
    return number;
  }

  #modelNumber(name: string): number {
    const known = this.#modelNumbers.get(name);
    if (known !== undefined) return known;
    this.#modelNumbers.set(name, this.#queues.length);
    const waiting = this.load.modelCounter(name);
    return this.#queues.push(new ModelQueue(name, waiting, this.#slots, (slot) => this.#left(slot))) - 1;
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
