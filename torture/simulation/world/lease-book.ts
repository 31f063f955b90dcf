/** What workers were told of their leases: one that was extended is theirs until then, and is nobody's whom another has followed. */
import { machine } from "../machine.ts";

/** The shortest wait before a request is tried again whose run or worker was lost, ms. */
const SHORTEST_RETRY_MS = 1_000;

interface Held {
  readonly token: string;
  /** By the machine's time. */
  until: number;
}

export class LeaseBook {
  readonly #fail: (promise: string) => void;
  /** Request → the lease that was handed out last, until it ends. */
  readonly #present = new Map<string, Held>();
  /** Request → when its run was told to have crashed. */
  readonly #crashed = new Map<string, number>();
  /** Whether a server has opened its store and was not told to stop. */
  #isOpen = false;

  constructor(fail: (promise: string) => void) {
    this.#fail = fail;
  }

  /** A server has opened its store; `unclean`: it takes the one before for dead. */
  opened(unclean: boolean): void {
    if (this.#isOpen && !unclean) this.#fail("attempts: after a death leases are not durable before their runs");
    this.#isOpen = true;
    this.#present.clear();
    this.#crashed.clear();
  }

  /** It is told to stop: whenever it ends from now on, it may have said that it did so as it should. */
  stopping(): void {
    this.#isOpen = false;
  }

  leased(id: string, token: string): void {
    const crashedAt = this.#crashed.get(id);
    this.#crashed.delete(id);
    if (crashedAt !== undefined && machine().time < crashedAt + SHORTEST_RETRY_MS) {
      this.#fail(`retries: ${id} crashed and was leased again after ${machine().time - crashedAt} ms`);
    }
    const before = this.#present.get(id);
    if (before !== undefined) this.#lostEarly(id, before);
    this.#present.set(id, { token, until: 0 });
  }

  /** A heartbeat that began at `at` was answered: the lease of `token` holds for `leaseMs`. */
  held(id: string, token: string, at: number, leaseMs: number): void {
    const present = this.#present.get(id);
    if (present === undefined) return;
    if (present.token === token) present.until = at + leaseMs;
    else this.#fail(`fencing: the lease of ${id} was extended by a worker that another had followed`);
  }

  /** Whoever holds `token` was told that it does not hold, while the request is not finished. */
  refused(id: string, token: string): void {
    const present = this.#present.get(id);
    if (present?.token === token) this.#lostEarly(id, present);
  }

  /** Its settlement was taken. `crashedAt`: when it was told that the run had crashed, if it is to be tried again. */
  ended(id: string, crashedAt: number | null): void {
    this.#present.delete(id);
    if (crashedAt !== null) this.#crashed.set(id, crashedAt);
  }

  #lostEarly(id: string, { until }: Held): void {
    const early = until - machine().time;
    if (early > 0) this.#fail(`leases: that of ${id} was taken ${early} ms before its time`);
  }
}
