/** Keeps a worker's leases alive, and tells it which it has lost. */
import type { Clock } from "../core/clock.ts";
import type { Lease, RequestStore } from "../store/store.ts";
import type { Log } from "./log.ts";

interface Held {
  readonly id: string;
  readonly token: string;
  deadline: number;
  readonly onLost: () => void;
}

export class LeaseKeeper {
  readonly #store: RequestStore;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #log: Log;
  /** By token. */
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;
  #asking = false;

  constructor(options: {
    readonly store: RequestStore;
    readonly clock: Clock;
    readonly leaseMs: number;
    readonly log: Log;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#leaseMs = options.leaseMs;
    this.#log = options.log;
  }

  /** Beats at a third of the lease time: two beats may fail before a lease runs out. */
  start(): void {
    this.#timer ??= setInterval(() => void this.beat(), this.#leaseMs / 3);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Keeps `lease` until `drop`; calls `onLost` once if it is lost before. */
  hold(lease: Lease, onLost: () => void): void {
    this.#held.set(lease.token, { id: lease.id, token: lease.token, deadline: lease.deadline, onLost });
  }

  drop(token: string): void {
    this.#held.delete(token);
  }

  holds(token: string): boolean {
    return (this.#held.get(token)?.deadline ?? -Infinity) > this.#clock.now();
  }

  /**
   * Extends all leases held. Past its deadline the store is asked once more, for a process that stood
   * still beats late and may find its leases taken by nobody; one that it cannot extend then is lost.
   */
  async beat(): Promise<void> {
    if (this.#asking) return this.#loseOverdue();
    if (this.#held.size === 0) return;
    this.#asking = true;
    const asked = [...this.#held.values()];
    const deadline = this.#clock.now() + this.#leaseMs; // taken before asking: at least this much is granted
    try {
      const lost = await this.#store.heartbeat(asked, this.#leaseMs);
      for (const token of lost) this.#lose(token);
      for (const held of asked) held.deadline = deadline;
    } catch (error) {
      this.#log.warn({ err: error, leases: asked.length }, "heartbeat failed; tried again before the leases run out");
    } finally {
      this.#asking = false;
      this.#loseOverdue();
    }
  }

  #loseOverdue(): void {
    const now = this.#clock.now();
    for (const { token, deadline } of this.#held.values()) if (deadline <= now) this.#lose(token);
  }

  #lose(token: string): void {
    const held = this.#held.get(token); // gone if it was settled while we asked
    this.#held.delete(token);
    held?.onLost();
  }
}
