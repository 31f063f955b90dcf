import { QUEUED } from "./messages.ts";
import { SlotHeap } from "./slot-heap.ts";
import type { SlotTable } from "./slot-table.ts";

/**
 * The waiting requests of one model, one priority and one key. They are leased by their ids, the oldest
 * first.
 *
 * How many are before one is known without a look at any of them: whoever comes in the order of the ids
 * and can run at once stands in line, with a number one higher than the one before, and leaves from the
 * front. Whoever comes otherwise (its time has not come, its id is older than one that is here, its
 * lease ended) stands aside: these are few, and all of them count as being before everybody.
 */
export class Lane {
  readonly key: number;
  /** How many wait, in line and aside, leasable or not. */
  waiting = 0;
  /** How many wait or run. */
  unfinished = 0;
  /** Number of its latest lease among those of all lanes of the line; 0: there was none. */
  turn: number;
  /** Its places in the heaps of its line, or -1; see `LaneHeap`. */
  readonly places: [byTurn: number, byAge: number] = [-1, -1];
  #aside = 0;
  /** Number of the next in line. */
  #next = 0;
  /** Nobody with a lower number is in line any more. */
  #passed = 0;
  /** The newest id that came, as words. */
  readonly #newest = new Uint32Array(4);
  readonly #slots: SlotTable;
  /** Whoever can be leased; and some that wait no more, which are dropped when met, or when they are most of it. */
  readonly #ready: SlotHeap;
  #stale = 0;
  readonly #dropped: (slot: number) => void;

  /** `dropped` hears of every slot that is out of the lane without having been taken. */
  constructor(key: number, turn: number, slots: SlotTable, dropped: (slot: number) => void) {
    this.key = key;
    this.turn = turn;
    this.#slots = slots;
    this.#dropped = dropped;
    this.#ready = new SlotHeap(slots.byAge);
  }

  /** The oldest that was made leasable, though it may not be so any more; or -1. */
  get oldest(): number {
    return this.#ready.first;
  }

  /** Counts one that has come, and gives it its number. */
  join(slot: number, ready: boolean): void {
    const slots = this.#slots;
    const newer = slots.isNewer(slot, this.#newest);
    if (newer) slots.copyId(slot, this.#newest);
    this.await(slot);
    this.waiting++;
    if (newer && ready) {
      slots.aside[slot] = 0;
      this.#next++;
    } else this.#aside++;
  }

  /** One that has come under a lease gets a number, should it ever wait. */
  await(slot: number): void {
    this.#slots.number[slot] = this.#next;
    this.#slots.aside[slot] = 1;
  }

  /** Counts one that is back from its lease. */
  rejoin(slot: number): void {
    this.#slots.aside[slot] = 1;
    this.#aside++;
    this.waiting++;
  }

  /** It waits no more. */
  leave(slot: number): void {
    this.waiting--;
    if (this.#slots.aside[slot] === 1) this.#aside--;
  }

  /** One that was taken, and waits all the same. */
  stepAside(slot: number): void {
    if (this.#slots.aside[slot] === 1) return;
    this.#slots.aside[slot] = 1;
    this.#aside++;
  }

  /** At most how many that came before it wait, itself included. */
  rank(slot: number): number {
    const { number, aside } = this.#slots;
    const inLine = Math.max(0, number[slot]! - this.#passed) + 1 - aside[slot]!;
    return Math.min(inLine + this.#aside, this.waiting);
  }

  /** Makes it leasable. */
  push(slot: number): void {
    this.#ready.push(slot);
  }

  /** The first that can be leased at `now`, or -1. */
  first(now: number): number {
    while (this.#ready.size > 0) {
      const slot = this.#ready.first;
      if (this.#isLeasable(slot, now)) return slot;
      this.take();
      this.#dropped(slot);
    }
    return -1;
  }

  /** Takes out the first there is. */
  take(): void {
    const { status, aside, number } = this.#slots;
    const slot = this.#ready.pop();
    if (status[slot] !== QUEUED) this.#stale--;
    else if (aside[slot] === 0) this.#passed = number[slot]! + 1;
  }

  /** One that was leasable waits no more. */
  staled(): void {
    if (++this.#stale * 2 > this.#ready.size + 64) this.#dropStale();
  }

  /** Nothing of it is unfinished any more: whoever is still here is dropped. */
  close(): void {
    if (this.#ready.size > 0) this.#dropStale();
  }

  #dropStale(): void {
    const { status } = this.#slots;
    const gone: number[] = [];
    this.#ready.retain((slot) => status[slot] === QUEUED || gone.push(slot) === 0);
    this.#stale = 0;
    for (const slot of gone) this.#dropped(slot);
  }

  /** What has expired, or should have started by now, is left to the sweep. */
  #isLeasable(slot: number, now: number): boolean {
    const { status, expiresAt, leases, startDeadline } = this.#slots;
    if (status[slot] !== QUEUED || expiresAt[slot]! <= now) return false;
    return leases[slot]! > 0 || !(startDeadline[slot]! <= now);
  }
}
