import type { Counter } from "../load-count.ts";
import { Pace } from "./pace.ts";
import type { SlotTable } from "./slot-table.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Of so many leases of a model one is its oldest request's, whatever its priority (`RequestStore.lease`). */
const OLDEST_EVERY = 8;

/** The priority that is leased first. */
const HIGHEST = 1;

/** The waiting requests of one model, a line for each priority, and how fast they run. */
export class ModelQueue {
  readonly name: string;
  /** How many wait, those too that stand in no line yet. */
  readonly waiting: Counter;
  readonly pace: Pace = new Pace();
  readonly #slots: SlotTable;
  /** The highest priority first. */
  readonly #lines: readonly WaitingLine[];
  #leases = 0;

  /** `dropped` hears of every slot that is out of its line without having been taken. */
  constructor(name: string, waiting: Counter, slots: SlotTable, dropped: (slot: number) => void) {
    this.name = name;
    this.waiting = waiting;
    this.#slots = slots;
    this.#lines = [1, 0, -1].map(() => new WaitingLine(slots, dropped));
  }

  line(slot: number): WaitingLine {
    return this.#lines[HIGHEST - this.#slots.priority[slot]!]!;
  }

  /** One has come. From now on its position is at most what it is now: whoever comes later is not before it. */
  join(slot: number, ready: boolean): void {
    this.line(slot).join(slot, ready);
    this.#slots.told[slot] = this.rank(slot);
  }

  /** At most how many of its priority and the higher ones are leased up to this one, itself included. */
  rank(slot: number): number {
    const own = this.line(slot);
    let rank = own.rank(slot);
    for (const line of this.#lines) {
      if (line === own) break;
      rank += line.waiting;
    }
    return rank;
  }

  /** Takes out the next to be leased at `now`; answers its slot, or -1. */
  take(now: number): number {
    const oldestNext = (this.#leases + 1) % OLDEST_EVERY === 0;
    let from: WaitingLine | undefined;
    let taken = -1;
    for (const line of this.#lines) {
      const first = oldestNext ? line.oldest(now) : line.next(now);
      if (first < 0 || (taken >= 0 && !this.#slots.isOlder(first, taken))) continue;
      from = line;
      taken = first;
      if (!oldestNext) break;
    }
    if (from === undefined) return -1;
    this.#leases++;
    from.take(taken);
    return taken;
  }
}
