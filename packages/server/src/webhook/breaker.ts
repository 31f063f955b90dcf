/**
 * Holds back what goes to a host in trouble. Closed, it lets everything pass. After some failures in a row it
 * opens: nothing passes until a delay is over, then one try alone, which closes it or opens it for longer.
 * What was under way when it opened and fails later changes nothing; any success closes it.
 */
import { jittered } from "./schedule.ts";

const OPENS_AFTER = 5;
const FIRST_DELAY_MS = 1_000;
/** A host that is back gets what waits for it within this time, and what its try takes. */
const LONGEST_DELAY_MS = 60_000;

/** A try that was let pass. */
export interface Pass {
  /** The one that decides whether an open breaker closes. */
  readonly probe: boolean;
}

const PASS: Pass = { probe: false };
const PROBE: Pass = { probe: true };

export class Breaker {
  readonly #random: () => number;
  #failures = 0;
  /** How often it has opened since it was closed; 0: it is closed. */
  #openings = 0;
  #openUntil = 0;
  #probing = false;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  get open(): boolean {
    return this.#openings > 0;
  }

  /** Until then nothing passes. */
  get openUntil(): number {
    return this.#openUntil;
  }

  /** Whether a try may begin. */
  admits(now: number): boolean {
    return !this.open || (!this.#probing && now >= this.#openUntil);
  }

  /** Begins a try that is admitted; it ends with `succeeded`, `failed` or `dropped`. */
  pass(): Pass {
    if (!this.open) return PASS;
    this.#probing = true;
    return PROBE;
  }

  /** The host answered. True: that closed it. */
  succeeded(pass: Pass): boolean {
    this.dropped(pass);
    this.#failures = 0;
    if (!this.open) return false;
    this.#openings = 0;
    return true;
  }

  /** The host did not answer, or said that it is in trouble; `retryAfterMs` is how long it asked to be left alone. True: that opened it. */
  failed(pass: Pass, now: number, retryAfterMs: number | null): boolean {
    this.dropped(pass);
    if (this.open && !pass.probe) return false;
    this.#failures += 1;
    if (this.#failures < OPENS_AFTER) return false;
    const delay = jittered(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#openings), this.#random);
    this.#openUntil = now + Math.max(delay, Math.min(LONGEST_DELAY_MS, retryAfterMs ?? 0));
    this.#openings += 1;
    return !pass.probe;
  }

  /** The try came to nothing that tells of the host. */
  dropped(pass: Pass): void {
    if (pass.probe) this.#probing = false;
  }
}
