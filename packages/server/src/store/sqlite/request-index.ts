import type { Failure } from "../../core/request.ts";
import type { ModelDepth, RequestStatus } from "../store.ts";
import { COMPLETED, PROCESSING, QUEUED, STATUSES } from "./messages.ts";
import type { StateTuple } from "./messages.ts";
import { SlotHeap } from "./slot-heap.ts";
import { SlotTable } from "./slot-table.ts";

/** Status of a slot whose request is gone while a queue still holds it. */
const GONE = 4;

/** Which queue holds a slot: none, the ready or the delayed ones of its model, the ring of finished ones. */
const NOWHERE = 0;
const READY = 1;
const DELAYED = 2;
const RING = 3;

/** Finished requests kept for status polls; older ones are read from the file. About 9 MB. */
const FINISHED_KEPT = 100_000;

/** The queue of one model, by priority and then by id. Slots that left the queue otherwise than by its front are dropped when met, or when they are most of it. */
interface Queue {
  readonly name: string;
  readonly ready: SlotHeap;
  stale: number;
}

/** What the index must know of a request when it comes in. */
export interface Entry {
  readonly model: string;
  readonly owner: string;
  readonly status: number;
  readonly priority: number;
  readonly leases: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** QUEUED: not before. PROCESSING: the lease's deadline. */
  readonly due: number;
  readonly startedAt: number | null;
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
  readonly #slots = new SlotTable();
  readonly #queues: Queue[] = [];
  readonly #modelNumbers = new Map<string, number>();
  readonly #owners: string[] = [];
  readonly #ownerNumbers = new Map<string, number>();
  readonly #delayed = new SlotHeap((a, b) => this.#slots.due[a]! < this.#slots.due[b]!);
  #delayedStale = 0;
  readonly #leased = new Set<number>();
  readonly #failures = new Map<number, Failure>();
  readonly #ring = new Int32Array(FINISHED_KEPT).fill(-1);
  #ringAt = 0;

  /** Adds a request, by the text or the bytes of its id. One that is here already stays as it is. */
  add(id: string | Uint8Array, entry: Entry, now: number): void {
    const slots = this.#slots;
    if (typeof id === "string" ? slots.find(id) >= 0 : slots.has(id)) return;
    const slot = typeof id === "string" ? slots.addText(id) : slots.add(id);
    slots.model[slot] = this.#modelNumber(entry.model);
    slots.owner[slot] = this.#ownerNumber(entry.owner);
    slots.priority[slot] = entry.priority;
    slots.leases[slot] = entry.leases;
    slots.createdAt[slot] = entry.createdAt;
    slots.expiresAt[slot] = entry.expiresAt;
    slots.due[slot] = entry.due;
    slots.startedAt[slot] = entry.startedAt ?? NaN;
    slots.finishedAt[slot] = NaN;
    slots.inferenceMs[slot] = NaN;
    slots.status[slot] = entry.status;
    slots.place[slot] = NOWHERE;
    if (entry.status === PROCESSING) this.#leased.add(slot);
    else this.#wait(slot, now);
  }

  /** Undefined: not here, which says nothing. Null: it has expired. */
  status(id: string, now: number): RequestStatus | undefined | null {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return undefined;
    if (slots.expiresAt[slot]! <= now) return null;
    return {
      id,
      owner: this.#owners[slots.owner[slot]!]!,
      model: this.#queues[slots.model[slot]!]!.name,
      status: STATUSES[slots.status[slot]!]!,
      createdAt: slots.createdAt[slot]!,
      startedAt: orNull(slots.startedAt[slot]!),
      finishedAt: orNull(slots.finishedAt[slot]!),
      inferenceMs: orNull(slots.inferenceMs[slot]!),
      leases: slots.leases[slot]!,
      failure: this.#failures.get(slot) ?? null,
      expiresAt: slots.expiresAt[slot]!,
    };
  }

  /** Takes the first `most` leasable requests of `model` out of its queue, for their lease to be written. */
  take(model: string, most: number, now: number): Taken[] {
    const slots = this.#slots;
    const queue = this.#queues[this.#modelNumbers.get(model) ?? -1];
    const taken: Taken[] = [];
    if (queue === undefined) return [];
    while (taken.length < most && queue.ready.size > 0) {
      const slot = queue.ready.pop();
      if (slots.status[slot] !== QUEUED) queue.stale--;
      this.#left(slot);
      if (slots.status[slot] !== QUEUED || slots.expiresAt[slot]! <= now) continue;
      taken.push({
        id: slots.id(slot),
        model,
        owner: this.#owners[slots.owner[slot]!]!,
        createdAt: slots.createdAt[slot]!,
        expiresAt: slots.expiresAt[slot]!,
        attempt: slots.leases[slot]! + 1,
      });
    }
    return taken;
  }

  /** The lease that `take` reserved will not be written: back into the queue, if it still waits. */
  putBack(id: string, now: number): void {
    const slot = this.#slots.find(id);
    if (slot >= 0 && this.#slots.status[slot] === QUEUED && this.#slots.place[slot] === NOWHERE) this.#wait(slot, now);
  }

  /** The lease that `take` reserved is written. */
  leased(id: string, deadline: number, now: number): void {
    const slot = this.#slots.find(id);
    if (slot < 0) return;
    this.#slots.status[slot] = PROCESSING;
    this.#slots.leases[slot]! += 1;
    this.#slots.due[slot] = deadline;
    this.#slots.startedAt[slot] = now;
    this.#leased.add(slot);
  }

  /** Attempts of `id` up to this number were handed out, though the file may know of fewer. */
  skipAttempts(id: string, leases: number): void {
    const slot = this.#slots.find(id);
    if (slot >= 0 && this.#slots.leases[slot]! < leases) this.#slots.leases[slot] = leases;
  }

  completed(id: string, inferenceMs: number, now: number): void {
    const slot = this.#slots.find(id);
    if (slot < 0) return;
    this.#slots.inferenceMs[slot] = inferenceMs;
    this.#finish(slot, COMPLETED, now);
  }

  /** The state that the writer answered. */
  set(id: string, tuple: StateTuple, now: number): void {
    const slots = this.#slots;
    const slot = slots.find(id);
    if (slot < 0) return;
    const [status, leases, notBefore, deadline, startedAt, finishedAt, inferenceMs, code, message] = tuple;
    slots.leases[slot] = leases;
    slots.startedAt[slot] = startedAt ?? NaN;
    slots.inferenceMs[slot] = inferenceMs ?? NaN;
    if (code !== null) this.#failures.set(slot, { code, message: message! });
    if (status === PROCESSING) {
      slots.status[slot] = PROCESSING;
      slots.due[slot] = deadline!;
      this.#leased.add(slot);
    } else if (status === QUEUED) {
      this.#leased.delete(slot);
      slots.status[slot] = QUEUED;
      slots.due[slot] = notBefore;
      // A chunk read from the file meanwhile may have brought this state already.
      if (slots.place[slot] === NOWHERE) this.#wait(slot, now);
    } else {
      this.#finish(slot, status, finishedAt!);
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
    this.#failures.delete(slot);
    this.#leased.delete(slot);
    const wasQueued = slots.status[slot] === QUEUED;
    slots.status[slot] = GONE;
    if (slots.place[slot] === NOWHERE) slots.free(slot);
    else if (wasQueued) this.#staled(slot, slots.place[slot]!);
  }

  /** Moves what has become due to the ready queues; answers the models that got some. */
  promote(now: number): Set<string> {
    const woken = new Set<string>();
    while (this.#delayed.size > 0 && this.#slots.due[this.#delayed.first]! <= now) {
      const slot = this.#delayed.pop();
      if (this.#slots.status[slot] !== QUEUED) this.#delayedStale--;
      this.#left(slot);
      if (this.#slots.status[slot] !== QUEUED) continue;
      this.#wait(slot, now);
      woken.add(this.#queues[this.#slots.model[slot]!]!.name);
    }
    return woken;
  }

  /** When the next delayed request becomes due, or undefined. */
  get nextDue(): number | undefined {
    return this.#delayed.size === 0 ? undefined : this.#slots.due[this.#delayed.first]!;
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
    if (ready) this.#queues[slots.model[slot]!]!.ready.push(slot);
    else this.#delayed.push(slot);
  }

  #finish(slot: number, status: number, finishedAt: number): void {
    const slots = this.#slots;
    this.#leased.delete(slot);
    slots.finishedAt[slot] = finishedAt;
    slots.status[slot] = status;
    if (slots.place[slot] === NOWHERE) this.#left(slot);
    else this.#staled(slot, slots.place[slot]!);
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
    const oldest = this.#ring[this.#ringAt]!;
    if (oldest >= 0) {
      if (slots.status[oldest] !== GONE) slots.forget(oldest);
      this.#failures.delete(oldest);
      slots.status[oldest] = GONE;
      slots.free(oldest);
    }
    slots.place[slot] = RING;
    this.#ring[this.#ringAt] = slot;
    this.#ringAt = (this.#ringAt + 1) % FINISHED_KEPT;
  }

  /** Counts a slot that no longer waits in the queue that holds it, and clears the queue of such when they are most of it. */
  #staled(slot: number, place: number): void {
    const status = this.#slots.status;
    const gone: number[] = [];
    const waits = (held: number): boolean => {
      if (status[held] === QUEUED) return true;
      gone.push(held);
      return false;
    };
    if (place === READY) {
      const queue = this.#queues[this.#slots.model[slot]!]!;
      if (++queue.stale * 2 > queue.ready.size + 64) {
        queue.ready.retain(waits);
        queue.stale = 0;
      }
    } else if (place === DELAYED && ++this.#delayedStale * 2 > this.#delayed.size + 64) {
      this.#delayed.retain(waits);
      this.#delayedStale = 0;
    }
    for (const held of gone) this.#left(held);
  }

  #modelNumber(name: string): number {
    const known = this.#modelNumbers.get(name);
    if (known !== undefined) return known;
    const before = (a: number, b: number): boolean => {
      const slots = this.#slots;
      return slots.priority[a] === slots.priority[b] ? slots.isOlder(a, b) : slots.priority[a]! > slots.priority[b]!;
    };
    this.#modelNumbers.set(name, this.#queues.length);
    return this.#queues.push({ name, ready: new SlotHeap(before), stale: 0 }) - 1;
  }

  #ownerNumber(name: string): number {
    const known = this.#ownerNumbers.get(name);
    if (known !== undefined) return known;
    this.#ownerNumbers.set(name, this.#owners.length);
    return this.#owners.push(name) - 1;
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
