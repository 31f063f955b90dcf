/** What workers were told of their leases: one that was extended is theirs until then, and is nobody's whom another has followed. */
import type { Lease } from "../../../packages/server/src/store/store.ts";
import { machine, type Process } from "../machine.ts";

/** The shortest wait before a request is tried again whose run or worker was lost, ms. */
const SHORTEST_RETRY_MS = 1_000;

interface Held {
  readonly token: string;
  readonly worker: Process;
  /** Until then it holds once it is written, and until when it is known to hold; by the machine's time. */
  readonly granted: number;
  until: number;
}

export class LeaseBook {
  readonly #fail: (promise: string) => void;
  /** Request → the lease that was handed out last, until it ends. */
  readonly #present = new Map<string, Held>();
  /** Request and number of each attempt that this server has handed out → its token. */
  readonly #numbers = new Map<string, string>();
  /** When the server last looked for leases that have run out. */
  sweptAt = 0;
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
    this.#numbers.clear();
  }

  /** It is told to stop: whenever it ends from now on, it may have said that it did so as it should. */
  stopping(): void {
    this.#isOpen = false;
  }

  leased({ id, token, attempt }: Lease, leaseMs: number, worker: Process): void {
    const number = `${id}/${attempt}`;
    const other = this.#numbers.get(number);
    if (other !== undefined && other !== token)
      this.#fail(`leases: two attempts share the number ${number}, and their files`);
    this.#numbers.set(number, token);
    const crashedAt = this.#crashed.get(id);
    this.#crashed.delete(id);
    if (crashedAt !== undefined && machine().time < crashedAt + SHORTEST_RETRY_MS) {
      this.#fail(`retries: ${id} crashed and was leased again after ${machine().time - crashedAt} ms`);
    }
    const before = this.#present.get(id);
    if (before !== undefined) this.#lostEarly(id, before);
    this.#present.set(id, { token, worker, granted: machine().time + leaseMs, until: 0 });
  }

  /** The lease of `id` that was handed out last is in the file. */
  written(id: string): void {
    const present = this.#present.get(id);
    if (present !== undefined) present.until = Math.max(present.until, present.granted);
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

  /** Those that will run out if they are not extended: whose they are, and when, by the machine's time. */
  get running(): { readonly worker: Process; readonly until: number }[] {
    return [...this.#present.values()].filter(({ until }) => until > machine().time);
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
