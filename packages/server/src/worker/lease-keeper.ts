/**
 * Keeps a worker's leases alive, and tells it which it has lost: at the store's hint, by looking, by heartbeat.
 *
 * A lease is lost when the store says so, and not because the store says nothing: while it takes no heartbeat
 * nobody else is given the lease by it either, and should somebody have got it all the same, the token refuses
 * what the former holder brings. So a disk that is full for an hour, or a store that is away, costs no run.
 */
import type { Clock } from "../core/clock.ts";
import { isFinished } from "../core/request.ts";
import type { Lease, RequestStatus, RequestStore } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

/** How often one looks whether requests have ended, ms: a hint may never arrive, and a cancelled run is to hear of it within a second. */
const LOOK_EVERY_MS = 500;

/** Wait after a heartbeat that failed or was late, ms: a store that was away gives leases a few seconds to be extended. */
const AGAIN_MS = 1_000;

/** Called once when a lease no longer holds. `outcome`: that of its request, or `gone`, where that is why. */
export type OnLost = (outcome?: string) => void;

interface Held {
  readonly id: string;
  readonly token: string;
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
  #again: NodeJS.Timeout | undefined;
  #asking = false;
  #isFailing = false;
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

  /** Nothing is held from then on. */
  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    clearTimeout(this.#again);
    this.#unsubscribe?.();
    this.#held.clear();
  }

  /** Keeps `lease` until `drop`. A lease of the same request that is held still is lost: there is one at a time. */
  hold({ id, token }: Lease, onLost: OnLost): void {
    const former = this.#held.get(id);
    if (former !== undefined) this.#lose(former);
    this.#held.set(id, { id, token, settling: false, onLost });
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
    return this.#find(lease) !== undefined;
  }

  /** Extends all leases held, also those whose time is over: a process that stood still may find them taken by nobody. */
  async beat(): Promise<void> {
    if (this.#asking || this.#held.size === 0) return;
    this.#asking = true;
    const asked = [...this.#held.values()];
    const askedAt = this.#clock.now();
    try {
      const tokens = new Set(await this.#store.heartbeat(asked, this.#leaseMs));
      const lost = asked.filter(({ token }) => tokens.has(token));
      await this.#lookAt(lost); // a request that has ended is no fault
      for (const held of lost) this.#lose(held);
      if (this.#isFailing) this.#log.info({ leases: asked.length - lost.length }, "heartbeats are taken again");
      this.#isFailing = false;
      // What was granted counts from when it was asked for, and may be over already.
      if (this.#clock.now() - askedAt > this.#leaseMs / 3) this.#beatAgain();
    } catch (error) {
      const about = { err: error, leases: asked.length };
      if (!this.#isFailing) this.#log.warn(about, "a heartbeat failed; runs go on, and it is tried again");
      this.#isFailing = true;
      this.#beatAgain();
    } finally {
      this.#asking = false;
    }
  }

  #beatAgain(): void {
    if (this.#timers.length === 0) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => void this.beat(), Math.min(AGAIN_MS, this.#leaseMs / 3));
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
