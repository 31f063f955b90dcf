import type { Load } from "./store.ts";

export interface Counter {
  count: number;
}

/** The counts behind `Load`, for drivers that hold the queue in memory. They keep a counter for every name that there was. */
export class LoadCount implements Load {
  waiting = 0;
  readonly counting: undefined = undefined;
  readonly #models = new Map<string, Counter>();
  readonly #keys = new Map<string, Counter>();

  waitingFor(model: string): number {
    return this.#models.get(model)?.count ?? 0;
  }

  unfinishedOf(key: string): number {
    return this.#keys.get(key)?.count ?? 0;
  }

  /** Of the requests that wait for the model. */
  modelCounter(model: string): Counter {
    return counter(this.#models, model);
  }

  /** Of the unfinished requests that came with the key. */
  keyCounter(key: string): Counter {
    return counter(this.#keys, key);
  }
}

function counter(counters: Map<string, Counter>, name: string): Counter {
  let found = counters.get(name);
  if (found === undefined) counters.set(name, (found = { count: 0 }));
  return found;
}
