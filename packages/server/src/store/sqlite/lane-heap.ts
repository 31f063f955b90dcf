import type { Lane } from "./lane.ts";

/** A binary heap of lanes, each of which knows its place in it, so that one that changes finds its new place at once. */
export class LaneHeap {
  readonly #lanes: Lane[] = [];
  /** Which of the `places` of a lane is the one here. */
  readonly #which: 0 | 1;
  readonly #before: (a: Lane, b: Lane) => boolean;

  constructor(which: 0 | 1, before: (a: Lane, b: Lane) => boolean) {
    this.#which = which;
    this.#before = before;
  }

  get size(): number {
    return this.#lanes.length;
  }

  get first(): Lane | undefined {
    return this.#lanes[0];
  }

  /** The lanes in no order, but for the first. */
  at(place: number): Lane {
    return this.#lanes[place]!;
  }

  /** Puts the lane where it now belongs; it need not be here yet. */
  put(lane: Lane): void {
    const place = lane.places[this.#which];
    this.#sink(this.#raise(place < 0 ? this.#lanes.push(lane) - 1 : place, lane), lane);
  }

  /** Takes the lane out, if it is here. */
  remove(lane: Lane): void {
    const place = lane.places[this.#which];
    if (place < 0) return;
    lane.places[this.#which] = -1;
    const last = this.#lanes.pop()!;
    if (last === lane) return;
    last.places[this.#which] = place;
    this.put(last);
  }

  /** Answers the place up to which it rises; it is not written there yet. */
  #raise(from: number, lane: Lane): number {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(lane, this.#lanes[parent]!)) break;
      this.#set(at, this.#lanes[parent]!);
      at = parent;
    }
    return at;
  }

  #sink(from: number, lane: Lane): void {
    const lanes = this.#lanes;
    let at = from;
    for (let child = 2 * at + 1; child < lanes.length; child = 2 * at + 1) {
      if (child + 1 < lanes.length && this.#before(lanes[child + 1]!, lanes[child]!)) child++;
      if (!this.#before(lanes[child]!, lane)) break;
      this.#set(at, lanes[child]!);
      at = child;
    }
    this.#set(at, lane);
  }

  #set(place: number, lane: Lane): void {
    this.#lanes[place] = lane;
    lane.places[this.#which] = place;
  }
}
