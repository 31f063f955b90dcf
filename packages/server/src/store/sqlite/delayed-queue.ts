import { QUEUED } from "./messages.ts";
import { SlotHeap } from "./slot-heap.ts";
import type { SlotTable } from "./slot-table.ts";

/** The requests of all models that wait for their time. Some wait no more: they are dropped when met, or when they are most of it. */
export class DelayedQueue {
  readonly #slots: SlotTable;
  readonly #heap: SlotHeap;
  #stale = 0;

  constructor(slots: SlotTable) {
    this.#slots = slots;
    this.#heap = new SlotHeap((a, b) => slots.due[a]! < slots.due[b]!);
  }

  push(slot: number): void {
    this.#heap.push(slot);
  }

  /** When the next becomes due, or undefined. */
  get nextDue(): number | undefined {
    return this.#heap.size === 0 ? undefined : this.#slots.due[this.#heap.first]!;
  }

  /** Takes out one that is due at `now`, waiting or not; answers its slot, or -1. */
  take(now: number): number {
    const due = this.nextDue;
    if (due === undefined || due > now) return -1;
    const slot = this.#heap.pop();
    if (this.#slots.status[slot] !== QUEUED) this.#stale--;
    return slot;
  }

  /** One that is here waits no more. Answers the slots that are dropped for it. */
  staled(): readonly number[] {
    const gone: number[] = [];
    if (++this.#stale * 2 <= this.#heap.size + 64) return gone;
    const { status } = this.#slots;
    this.#heap.retain((slot) => status[slot] === QUEUED || gone.push(slot) === 0);
    this.#stale = 0;
    return gone;
  }
}
