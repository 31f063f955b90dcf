/**
 * Who may have how many tries in flight. A host that answers quickly is bounded by its own number and the
 * total alone. The others (slow ones, dead ones, and those that nothing is known of yet) share a part of the
 * total, and the last half of that part a few at a time each: however many receivers hang, and for however
 * long, the rest of the total stays with those that answer.
 */

/** In flight to one host. */
export const PER_HOST = 64;
const TOTAL = 1_024;
/** Of these at hosts that are not quick. */
const NOT_QUICK = 512;
/** Beyond so many of those each host that is not quick has only the fewest. */
const CROWDED = 256;
const FEWEST_PER_HOST = 4;

/** What a host must answer within to count as quick, ms. */
export const QUICK_MS = 1_000;

export class Room {
  #total = 0;
  #notQuick = 0;

  /** In flight, of all hosts. */
  get taken(): number {
    return this.#total;
  }

  /** How many tries may be in flight to one host at the moment, those that are included; 0: the room of all is taken. */
  limit(quick: boolean): number {
    if (this.#total >= TOTAL || (!quick && this.#notQuick >= NOT_QUICK)) return 0;
    return quick || this.#notQuick < CROWDED ? PER_HOST : FEWEST_PER_HOST;
  }

  /** Takes one place; answers what gives it back. */
  take(quick: boolean): () => void {
    this.#total += 1;
    if (!quick) this.#notQuick += 1;
    return () => {
      this.#total -= 1;
      if (!quick) this.#notQuick -= 1;
    };
  }
}
