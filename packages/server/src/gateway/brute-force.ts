/**
 * Whoever guesses keys or ids is slowed down, by network: an address may be that of many people, so each network
 * has some failures free, and then one after the other as time goes by. Nobody is locked out: a key that was used
 * well from there goes on, and any other is heard again within seconds.
 *
 * - A key that never was one costs a token of its network's. When there is none, keys from there are not looked at, and the
 *   right one is told the same as the wrong ones: nobody learns what it guessed.
 * - An id that is no request of the caller's costs a token of the network's and the key's together. When there is
 *   none, such ids are answered 429 in place of 404; the caller's own requests are answered as ever.
 * - A token for events that never was one costs as a key that never was does; a right one is always let in, for it has
 *   128 random bits and an hour's life.
 */
import type { Logger } from "pino";
import type { Clock } from "../core/clock.ts";
import type { ApiKey } from "../store/keys.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Call } from "./auth.ts";
import { type AddressOf, networkOf } from "./client-address.ts";
import { GoodUses } from "./good-uses.ts";
import { LimitError } from "./limit-error.ts";
import { afterOne, FULL, type Rate, secondsToNext, tokensIn } from "./token-bucket.ts";

export interface BruteForce {
  /** Some network has no token: its callers must be looked at. */
  readonly isAlert: boolean;
  /** Whether the key that came with `call` is not to be looked at. */
  keepsOut(call: Call, secret: string): boolean;
  /** The answer to a call whose key is kept out. */
  refusal(call: Call): LimitError;
  /** The key that came with `call` is good. */
  usedWell(call: Call, secret: string): void;
  /** Counts a wrong key or token, of each call once; the answer, if it is to be another than that this is wrong. */
  wrong(call: Call): LimitError | undefined;
  /** Counts an id that is no request of `key`'s, of each call once; the answer, if it is to be another than that there is none. */
  stranger(call: Call, key: ApiKey): LimitError | undefined;
}

const KEYS: Rate = { perSecond: 1, burst: 20 };
/** Late pollers come with ids that were theirs, and pages with many at once. */
const IDS: Rate = { perSecond: 10, burst: 100 };
/** Buckets that are kept; of more the one that was used least lately is full again. */
const MOST_BUCKETS = 10_000;
/** Of a network that goes on the log tells so often, and of so many networks in that time. */
const TELL_EVERY_MS = 60_000;
const MOST_TOLD = 100;

export interface BruteForceContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "refused">;
  readonly addressOf: AddressOf;
  /** What `addressOf` goes by, unread. */
  readonly whoOf: (call: Call) => string;
}

export function bruteForce({ clock, logger, metrics, addressOf, whoOf }: BruteForceContext): BruteForce {
  const network = (call: Call): string => networkOf(addressOf(call));
  const uses = new GoodUses(network, whoOf, clock);
  const keys = new Buckets(KEYS, clock);
  const ids = new Buckets(IDS, clock);
  const told = new Map<string, number>();
  /** Of calls that are looked at twice, by a short way and by their route. */
  const judged = new WeakMap<Call, LimitError | null>();
  let alertUntil = -Infinity;
  let isAlert = false;

  const refuse = (seconds: number): LimitError => {
    metrics.refused("too_many_failures");
    return new LimitError("too_many_failures", { seconds }, seconds);
  };

  const tell = (line: { readonly network: string; readonly of: "keys" | "ids"; readonly key?: string }): void => {
    const now = clock.now();
    const about = `${line.of} ${line.network} ${line.key ?? ""}`;
    if ((told.get(about) ?? 0) > now) return;
    for (const [other, until] of told) if (until <= now) told.delete(other);
    if (told.size === MOST_TOLD) return;
    told.set(about, now + TELL_EVERY_MS);
    logger.warn({ audit: "too_many_failures", ...line }, "too many failures from one address: it must wait");
  };

  const wrong = (from: string): LimitError | null => {
    if (!keys.take(from)) return refuse(keys.secondsToNext(from));
    if (keys.hasToken(from)) return null;
    isAlert = true;
    alertUntil = Math.max(alertUntil, keys.nextAt(from));
    tell({ network: from, of: "keys" });
    return null;
  };

  const stranger = (from: string, key: ApiKey): LimitError | null => {
    const about = `${from} ${key.name}`;
    if (ids.take(about)) return null;
    tell({ network: from, of: "ids", key: key.name });
    return refuse(ids.secondsToNext(about));
  };

  const once = (call: Call, judge: (from: string) => LimitError | null): LimitError | undefined => {
    let answer = judged.get(call);
    if (answer === undefined) judged.set(call, (answer = judge(network(call))));
    return answer ?? undefined;
  };

  return {
    get isAlert() {
      return isAlert;
    },
    keepsOut(call, secret) {
      const answer = judged.get(call);
      if (answer !== undefined) return answer !== null;
      if (clock.now() >= alertUntil) isAlert = false;
      return isAlert && !keys.hasToken(network(call)) && !uses.knows(call, secret);
    },
    refusal: (call) => once(call, (from) => refuse(keys.secondsToNext(from)))!,
    usedWell(call, secret) {
      uses.note(call, secret);
    },
    wrong: (call) => once(call, wrong),
    stranger: (call, key) => once(call, (from) => stranger(from, key)),
  };
}

/** Buckets by name, of which those that were used least lately make room. */
class Buckets {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #fullAt = new Map<string, number>();

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  hasToken(name: string): boolean {
    return tokensIn(this.#fullAt.get(name) ?? FULL, this.#rate, this.#clock.now()) >= 1;
  }

  /** Takes a token; answers false where there is none. */
  take(name: string): boolean {
    if (!this.hasToken(name)) return false;
    const fullAt = this.#fullAt.get(name) ?? FULL;
    this.#fullAt.delete(name);
    this.#fullAt.set(name, afterOne(fullAt, this.#rate, this.#clock.now()));
    if (this.#fullAt.size > MOST_BUCKETS) this.#fullAt.delete(this.#fullAt.keys().next().value!);
    return true;
  }

  secondsToNext(name: string): number {
    return secondsToNext(this.#fullAt.get(name) ?? FULL, this.#rate, this.#clock.now());
  }

  /** When there is a token again, ms. */
  nextAt(name: string): number {
    const { perSecond, burst } = this.#rate;
    return (this.#fullAt.get(name) ?? FULL) - ((burst - 1) * 1000) / perSecond;
  }
}
