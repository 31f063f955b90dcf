/**
 * From which networks which keys were used well of late: what others behind the same address do is then no
 * reason to keep them out. Bounded, and for everyday callers two look-ups of what they bring anyway.
 */
import { hash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import type { Call } from "./auth.ts";

/** A use is remembered so long at least. */
const REMEMBERED_MS = 30 * 60_000;
/** Uses of which no more are remembered for so long; some 10 MB. */
const MOST_USES = 20_000;

export class GoodUses {
  readonly #networkOf: (call: Call) => string;
  readonly #whoOf: (call: Call) => string;
  readonly #clock: Clock;
  /** Who has called with which keys, in the words of the call itself. */
  #seen = new Map<string, Set<string>>();
  /** Network and digest of the key; those of the time before the present one are still good. */
  #present = new Set<string>();
  #before: ReadonlySet<string> = new Set();
  /** Uses that were noted since the last turn: one network may have many texts. */
  #noted = 0;
  #turnAt: number;

  /** `whoOf` is what `networkOf` goes by, unread. */
  constructor(networkOf: (call: Call) => string, whoOf: (call: Call) => string, clock: Clock) {
    this.#networkOf = networkOf;
    this.#whoOf = whoOf;
    this.#clock = clock;
    this.#turnAt = clock.now() + REMEMBERED_MS;
  }

  /** `secret` is that of a key which is good. */
  note(call: Call, secret: string): void {
    const who = this.#whoOf(call);
    if (this.#seen.get(who)?.has(secret)) return;
    this.#turn();
    const now = this.#seen.get(who);
    if (now === undefined) this.#seen.set(who, new Set([secret]));
    else now.add(secret);
    this.#noted += 1;
    this.#present.add(this.#use(call, secret));
  }

  /** Whether `secret` was that of a good key, and came from the network of `call`. */
  knows(call: Call, secret: string): boolean {
    this.#turn();
    const use = this.#use(call, secret);
    return this.#present.has(use) || this.#before.has(use);
  }

  #use(call: Call, secret: string): string {
    return `${this.#networkOf(call)} ${hash("sha256", secret)}`;
  }

  #turn(): void {
    if (this.#clock.now() < this.#turnAt && this.#noted < MOST_USES) return;
    this.#turnAt = this.#clock.now() + REMEMBERED_MS;
    this.#noted = 0;
    this.#before = this.#present;
    this.#present = new Set();
    this.#seen = new Map(); // whoever comes again is noted again
  }
}
