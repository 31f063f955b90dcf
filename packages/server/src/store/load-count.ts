import type { Load } from "./store.ts";

/** The counts behind `Load`, kept by drivers that hold the queue in memory. */
export class LoadCount implements Load {
  waiting = 0;
  readonly #waitingFor = new Map<string, number>();
  readonly #unfinishedOf = new Map<string, number>();

  waitingFor(model: string): number {
    return this.#waitingFor.get(model) ?? 0;
  }

  unfinishedOf(key: string): number {
    return this.#unfinishedOf.get(key) ?? 0;
  }

  /** More requests wait for `model`, or fewer. */
  addWaiting(model: string, more: number): void {
    this.waiting += more;
    add(this.#waitingFor, model, more);
  }

  /** More of those that came with `key` are unfinished, or fewer. */
  addUnfinished(key: string, more: number): void {
    add(this.#unfinishedOf, key, more);
  }
}

/** Names that nothing is counted for any more leave nothing behind. */
function add(counts: Map<string, number>, name: string, more: number): void {
  const count = (counts.get(name) ?? 0) + more;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
