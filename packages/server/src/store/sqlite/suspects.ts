import type { Taken } from "./request-index.ts";

/** A request that may be leased, with what is known of its tries. */
interface Candidate extends Taken {
  readonly crashes: number;
}

/**
 * Requests of which one may be what ended the process before this one, until they have an outcome: those that were
 * running then, and after an unclean stop those too that had been lost before.
 *
 * A suspect on its last try runs when nothing else does: if it takes the host down, it takes nobody with it; and if
 * others do so, they do not take it. Once its turn has come, nothing is leased until the host is empty.
 */
export class Suspects {
  readonly #triesOf: (model: string) => number;
  readonly #ids = new Set<string>();
  /** The last unfinished request that the file had when it was opened first; what has come since sorts behind it. */
  #lastOfBefore = "";
  /** The one that runs alone. */
  #alone: string | undefined;
  /** Models of which nothing was leased for the sake of a suspect. */
  readonly #heldBack = new Set<string>();

  /** `triesOf`: how often a request of a model is tried again when it is lost. */
  constructor(triesOf: (model: string) => number) {
    this.#triesOf = triesOf;
  }

  get isEmpty(): boolean {
    return this.#ids.size === 0;
  }

  add(id: string): void {
    this.#ids.add(id);
  }

  /** These have their outcome. */
  acquit(ids: readonly string[]): void {
    if (this.#ids.size > 0) for (const id of ids) this.#ids.delete(id);
  }

  /** `id` was in the file when it was opened first; they come in their order. */
  wasThere(id: string): void {
    this.#lastOfBefore = id;
  }

  /** Whether `id` may have been in the file then. */
  isOfBefore(id: string): boolean {
    return id <= this.#lastOfBefore;
  }

  /** Whether nothing may be leased, of these `models`, because a suspect runs alone; `isRunning` tells whether one still does. */
  keepsOut(models: Iterable<string>, isRunning: (id: string) => boolean): boolean {
    if (this.#alone === undefined) return false;
    if (!isRunning(this.#alone)) {
      this.#alone = undefined;
      return false;
    }
    for (const model of models) this.#heldBack.add(model);
    return true;
  }

  /** Those of `taken` that are leased: all, or a suspect on its last try alone, or none until nothing runs any more. */
  choose<C extends Candidate>(taken: C[], isHostEmpty: () => boolean): C[] {
    if (this.#ids.size === 0) return taken;
    const suspect = taken.find((one) => this.#isOnLastTry(one));
    if (suspect === undefined) return taken;
    for (const one of taken) if (one !== suspect || !isHostEmpty()) this.#heldBack.add(one.model);
    if (!isHostEmpty()) return [];
    this.#alone = suspect.id;
    return [suspect];
  }

  /** The models that may be asked for again, if nothing runs any more. */
  letIn(isHostEmpty: () => boolean): readonly string[] {
    if (this.#heldBack.size === 0 || !isHostEmpty()) return [];
    const models = [...this.#heldBack];
    this.#heldBack.clear();
    return models;
  }

  #isOnLastTry({ id, model, crashes }: Candidate): boolean {
    return this.#ids.has(id) && crashes > 0 && crashes >= this.#triesOf(model);
  }
}
