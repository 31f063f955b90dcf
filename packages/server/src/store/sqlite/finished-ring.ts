import type { Failure } from "../../core/request.ts";

/** Finished requests kept for status polls; older ones are read from the file. About 9 MB. */
const FINISHED_KEPT = 100_000;

/** The slots of the requests that finished lately, and why those failed that did. */
export class FinishedRing {
  readonly #slots = new Int32Array(FINISHED_KEPT).fill(-1);
  #at = 0;
  readonly #failures = new Map<number, Failure>();

  /** Keeps `slot` in place of the oldest; answers that one, or -1. */
  keep(slot: number): number {
    const oldest = this.#slots[this.#at]!;
    this.#slots[this.#at] = slot;
    this.#at = (this.#at + 1) % FINISHED_KEPT;
    if (oldest >= 0) this.#failures.delete(oldest);
    return oldest;
  }

  failure(slot: number): Failure | null {
    return this.#failures.get(slot) ?? null;
  }

  /** Remembers why the request failed that `keep` keeps, or is about to. */
  failed(slot: number, failure: Failure): void {
    this.#failures.set(slot, failure);
  }

  /** The request does not exist any more. Its slot stays where it is. */
  forget(slot: number): void {
    this.#failures.delete(slot);
  }
}
