/** Slots that there is room for in the beginning: there may be ten thousand heaps. */
const FEW = 4;

/** A binary heap of slots. What it orders by must not change while a slot is in it. */
export class SlotHeap {
  size = 0;
  #slots = new Int32Array(FEW);
  readonly #before: (a: number, b: number) => boolean;

  constructor(before: (a: number, b: number) => boolean) {
    this.#before = before;
  }

  /** The first slot, or -1. */
  get first(): number {
    return this.size === 0 ? -1 : this.#slots[0]!;
  }

  push(slot: number): void {
    if (this.size === this.#slots.length) {
      const grown = new Int32Array(this.size * 2);
      grown.set(this.#slots);
      this.#slots = grown;
    }
    this.#raise(this.size++, slot);
  }

  /** Takes the first slot out. The heap must not be empty. */
  pop(): number {
    const slot = this.#slots[0]!;
    const last = this.#slots[--this.size]!;
    if (this.size > 0) this.#sink(0, last);
    return slot;
  }

  /** Keeps only the slots that `keep` answers true for. */
  retain(keep: (slot: number) => boolean): void {
    const kept = this.#slots.subarray(0, this.size).filter(keep);
    this.#slots = new Int32Array(Math.max(FEW, kept.length * 2));
    this.#slots.set(kept);
    this.size = kept.length;
    for (let at = (this.size >> 1) - 1; at >= 0; at--) this.#sink(at, this.#slots[at]!);
  }

  #raise(from: number, slot: number): void {
    const slots = this.#slots;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(slot, slots[parent]!)) break;
      slots[at] = slots[parent]!;
      at = parent;
    }
    slots[at] = slot;
  }

  #sink(from: number, slot: number): void {
    const slots = this.#slots;
    let at = from;
    for (let child = 2 * at + 1; child < this.size; child = 2 * at + 1) {
      if (child + 1 < this.size && this.#before(slots[child + 1]!, slots[child]!)) child++;
      if (!this.#before(slots[child]!, slot)) break;
      slots[at] = slots[child]!;
      at = child;
    }
    slots[at] = slot;
  }
}
