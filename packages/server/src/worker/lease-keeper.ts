/** Keeps a worker's leases alive, and tells it which it has lost: at the store's hint, by looking, by heartbeat. */
import type { Clock } from "../core/clock.ts";
import { isFinished } from "../core/request.ts";
import type { Lease, RequestStatus, RequestStore } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

/** How often one looks whether requests have ended, ms: a hint may never arrive, and a cancelled run is to hear of it within a second. */
const LOOK_EVERY_MS = 500;

/** Called once when a lease no longer holds. `outcome`: that of its request, or `gone`, where that is why. */
export type OnLost = (outcome?: string) => void;

interface Held {
  readonly id: string;
  readonly token: string;
  deadline: number;
  /** Its holder writes how it ended: what becomes of it meanwhile the holder hears from that write. */
  settling: boolean;
  readonly onLost: OnLost;
}

export class LeaseKeeper {
  readonly #store: RequestStore;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #log: Log;
  /** By the id of the request. */
  readonly #held = new Map<string, Held>();
  readonly #timers: NodeJS.Timeout[] = [];
  #unsubscribe: (() => void) | undefined;
  #asking = false;
  #looking = false;

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
    if (this.#timers.length > 0) return;
    this.#timers.push(
      setInterval(() => void this.beat(), this.#leaseMs / 3),
      setInterval(() => void this.look(), LOOK_EVERY_MS),
    );
    this.#unsubscribe = this.#store.onWake?.((wake) => {
      if (wake.type !== "finished") return;
      const held = this.#held.get(wake.id);
      if (held?.settling === false) void this.#lookAt([held]);
    });
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#unsubscribe?.();
  }

  /** Keeps `lease` until `drop`. A lease of the same request that is held still is lost: there is one at a time. */
  hold({ id, token, deadline }: Lease, onLost: OnLost): void {
    const former = this.#held.get(id);
    if (former !== undefined) this.#lose(former);
    this.#held.set(id, { id, token, deadline, settling: false, onLost });
  }

  /** From now on `lease` is kept, and nobody is told when it is lost. */
  settling(lease: Lease): void {
    const held = this.#find(lease);
    if (held !== undefined) held.settling = true;
  }

  drop(lease: Lease): void {
    if (this.#find(lease) !== undefined) this.#held.delete(lease.id);
  }

  holds(lease: Lease): boolean {
    return (this.#find(lease)?.deadline ?? -Infinity) > this.#clock.now();
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
      const tokens = new Set(await this.#store.heartbeat(asked, this.#leaseMs));
      const lost = asked.filter(({ token }) => tokens.has(token));
      await this.#lookAt(lost); // a request that has ended is no fault
      for (const held of lost) this.#lose(held);
      for (const held of asked) held.deadline = deadline;
    } catch (error) {
      this.#log.warn({ err: error, leases: asked.length }, "heartbeat failed; tried again before the leases run out");
    } finally {
      this.#asking = false;
      this.#loseOverdue();
    }
  }

  /** Finds the leases whose requests have ended: cancelled, deleted, expired. It costs reads and no write. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    await this.#lookAt([...this.#held.values()]);
    this.#looking = false;
  }

  /** Never rejects: a store that cannot be read now is asked again, and heartbeats tell of it. */
  async #lookAt(held: readonly Held[]): Promise<void> {
    const later: Promise<void>[] = [];
    try {
      for (const each of held) {
        if (each.settling) continue;
        const view = this.#store.status(each.id);
        if (view instanceof Promise) later.push(view.then((found) => this.#judge(each, found)));
        else this.#judge(each, view);
      }
      await Promise.all(later);
    } catch (error) {
      this.#log.debug({ err: error }, "looking for ended requests failed; done again soon");
      await Promise.allSettled(later);
    }
  }

  #judge(held: Held, view: RequestStatus | undefined): void {
    if (view === undefined) this.#lose(held, "gone");
    else if (isFinished(view.status)) {
      this.#lose(held, view.failure?.code ?? view.status);
    }
  }

  #loseOverdue(): void {
    const now = this.#clock.now();
    for (const held of this.#held.values()) if (held.deadline <= now) this.#lose(held);
  }

  #lose(held: Held, outcome?: string): void {
    if (this.#held.get(held.id) !== held) return; // dropped while we asked
    this.#held.delete(held.id);
    if (!held.settling) held.onLost(outcome);
  }

  #find({ id, token }: Lease): Held | undefined {
    const held = this.#held.get(id);
    return held?.token === token ? held : undefined;
  }
}
