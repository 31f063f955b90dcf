import { LaneHeap } from "./lane-heap.ts";
import { Lane } from "./lane.ts";
import { QUEUED } from "./messages.ts";
import type { SlotTable } from "./slot-table.ts";

/** Lanes that are looked at, at most, to tell a position. */
const LOOKED_AT = 32;

/** So many lanes are kept though nothing of them is unfinished: the next request of the key will want its own. */
const KEPT = 32;

/**
 * The waiting requests of one model and one priority, a lane for each key. The lanes are leased from in
 * turn: next is the one that was leased from least recently, and among those that never were the one
 * with the oldest request. Of many lanes those go of which nothing is unfinished; when one was leased from
 * last is remembered beyond that, so that nobody comes first by coming anew.
 */
export class WaitingLine {
  /** How many wait in all lanes. */
  waiting = 0;
  readonly #slots: SlotTable;
  readonly #dropped: (slot: number) => void;
  readonly #lanes = new Map<number, Lane>();
  /** The only lane, where there is one only: whose it is need not be looked up then. */
  #only: Lane | undefined;
  /** The lane that was asked for last: mostly it is asked for again. */
  #last: Lane | undefined;
  /** Lanes that have somebody to be leased: by their turns, and by their oldest requests. */
  readonly #byTurn: LaneHeap;
  readonly #byAge: LaneHeap;
  /** Leases so far. */
  #leases = 0;
  /** Key → `turn` of its lane when that went. */
  readonly #turns = new Map<number, number>();

  /** `dropped` hears of every slot that is out of the line without having been taken. */
  constructor(slots: SlotTable, dropped: (slot: number) => void) {
    this.#slots = slots;
    this.#dropped = dropped;
    this.#byTurn = new LaneHeap(0, (a, b) => this.#isBefore(a, b));
    this.#byAge = new LaneHeap(1, (a, b) => slots.isOlder(a.oldest, b.oldest));
  }

  /** One that is unfinished has come. */
  enter(slot: number): void {
    const key = this.#slots.key[slot]!;
    if (this.#last?.key !== key) this.#last = this.#lanes.get(key) ?? this.#newLane(key);
    this.#last.unfinished++;
  }

  /** One that had come is finished, or gone. */
  exit(slot: number): void {
    const lane = this.#lane(slot);
    if (--lane.unfinished > 0 || this.#lanes.size <= KEPT) return;
    lane.close();
    this.#place(lane);
    this.#lanes.delete(lane.key);
    this.#last = undefined; // and there are others, so it was not the only one
    if (lane.turn > 0) this.#turns.set(lane.key, lane.turn);
  }

  /** Counts one that has come, and gives it its number. */
  join(slot: number, ready: boolean): void {
    this.waiting++;
    this.#lane(slot).join(slot, ready);
  }

  /** One that has come under a lease gets a number, should it ever wait. */
  await(slot: number): void {
    this.#lane(slot).await(slot);
  }

  /** Counts one that is back from its lease. */
  rejoin(slot: number): void {
    this.waiting++;
    this.#lane(slot).rejoin(slot);
  }

  /** It waits no more. */
  leave(slot: number): void {
    this.waiting--;
    this.#lane(slot).leave(slot);
  }

  /** One that was taken, and waits all the same. */
  stepAside(slot: number): void {
    this.#lane(slot).stepAside(slot);
  }

  /**
   * At most how many are leased up to this one, itself included: until the n-th of its lane has its turn,
   * every other lane has n turns at most, and one less where it comes after this lane.
   */
  rank(slot: number): number {
    const own = this.#lane(slot);
    const place = own.rank(slot);
    if (own.waiting === this.waiting) return place;
    let rank = place;
    let further = this.waiting - own.waiting;
    // Where its oldest waits no more, and is only not dropped yet, its turn may come later than it seems.
    const sure = own.oldest >= 0 && this.#slots.status[own.oldest] === QUEUED;
    const looked = Math.min(this.#byTurn.size, LOOKED_AT);
    for (let at = 0; at < looked; at++) {
      const lane = this.#byTurn.at(at);
      if (lane === own) continue;
      const after = sure && this.#isBefore(own, lane);
      rank += Math.min(lane.waiting, after ? place - 1 : place);
      further -= lane.waiting;
    }
    return rank + Math.min(further, (this.#lanes.size - looked) * place);
  }

  /** Makes it leasable. */
  push(slot: number): void {
    const lane = this.#lane(slot);
    const oldest = lane.oldest;
    lane.push(slot);
    if (lane.oldest !== oldest) this.#place(lane);
  }

  /** The one whose turn it is at `now`, or -1. */
  next(now: number): number {
    return this.#first(this.#byTurn, now);
  }

  /** The oldest that can be leased at `now`, or -1. */
  oldest(now: number): number {
    return this.#first(this.#byAge, now);
  }

  /** Takes out the one that `next` or `oldest` has just answered. */
  take(slot: number): void {
    const lane = this.#lane(slot);
    lane.turn = ++this.#leases;
    lane.take();
    this.#place(lane);
  }

  /** This one was leasable, and waits no more. */
  staled(slot: number): void {
    const lane = this.#lane(slot);
    const { oldest } = lane;
    lane.staled();
    if (lane.oldest !== oldest) this.#place(lane);
  }

  #first(lanes: LaneHeap, now: number): number {
    for (let lane; (lane = lanes.first) !== undefined;) {
      const { oldest } = lane;
      const slot = lane.first(now);
      if (slot === oldest) return slot;
      this.#place(lane);
    }
    return -1;
  }

  /** Whether `a` has its turn before `b`; both have somebody to be leased. */
  #isBefore(a: Lane, b: Lane): boolean {
    return a.turn < b.turn || (a.turn === b.turn && this.#slots.isOlder(a.oldest, b.oldest));
  }

  /** Its turn, or its oldest request, is another now. */
  #place(lane: Lane): void {
    if (lane.oldest >= 0) {
      this.#byTurn.put(lane);
      this.#byAge.put(lane);
    } else {
      this.#byTurn.remove(lane);
      this.#byAge.remove(lane);
    }
  }

  #newLane(key: number): Lane {
    const lane = new Lane(key, this.#turns.get(key) ?? 0, this.#slots, this.#dropped);
    this.#turns.delete(key);
    this.#lanes.set(key, lane);
    this.#only = this.#lanes.size === 1 ? lane : undefined;
    return lane;
  }

  #lane(slot: number): Lane {
    if (this.#only !== undefined) return this.#only;
    const key = this.#slots.key[slot]!;
    if (this.#last?.key !== key) this.#last = this.#lanes.get(key)!;
    return this.#last;
  }
}
