import type { Clock } from "../core/clock.ts";
import { randomToken } from "../core/ids.ts";
import { AttemptLog } from "./attempt-log.ts";
import type { EventCursor, EventLog, EventPage, RunEvent } from "./events.ts";

/** How long a log is kept after its lease has ended, ms: whoever was cut off comes back and reads the end. */
const KEPT_MS = 60_000;

/** What all logs may cost together in UTF-16 units: 64 MB at two bytes each. */
const ALL_UNITS = 32 * 1024 * 1024;

interface LeaseInForce {
  readonly token: string;
  readonly attempt: number;
  /** Made when the run first tells something: most never do. */
  log: AttemptLog | undefined;
}

interface EndedLog {
  readonly log: AttemptLog;
  readonly at: number;
}

/**
 * The event log of a driver whose leases are all handed out in this process. The driver tells it which
 * are in force; what a run without one tells is refused.
 */
export class MemoryEventLog implements EventLog {
  readonly #clock: Clock;
  /** Part of every cursor. */
  readonly #name = randomToken().slice(0, 8);
  /** Of every request that runs. */
  readonly #leases = new Map<string, LeaseInForce>();
  /** Those of `#leases` that hold text; the one that was told something least recently comes first. */
  readonly #running = new Map<string, AttemptLog>();
  /** Logs whose leases have ended; the one that ended first comes first. */
  readonly #ended = new Map<string, EndedLog>();
  #units = 0;
  readonly #listeners = new Set<(id: string) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A lease was handed out: what earlier attempts told is forgotten. */
  leased(id: string, token: string, attempt: number): void {
    this.#drop(id);
    this.#leases.set(id, { token, attempt, log: undefined });
  }

  /** The lease of `id` under `token`, or whichever is in force, is so no more. */
  ended(id: string, token?: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined || (token !== undefined && token !== lease.token)) return;
    this.#leases.delete(id);
    if (!this.#running.delete(id)) return;
    const now = this.#clock.now();
    this.#ended.set(id, { log: lease.log!, at: now });
    for (const [old, { at }] of this.#ended) {
      if (at + KEPT_MS > now) return;
      this.#drop(old);
    }
  }

  /** The request is gone, and with it what it told. */
  gone(id: string): void {
    this.#drop(id);
    this.#leases.delete(id);
  }

  append(id: string, token: string, event: RunEvent): boolean {
    const lease = this.#leases.get(id);
    if (lease?.token !== token) return false;
    const log = (lease.log ??= new AttemptLog(lease.attempt));
    const before = this.#running.delete(id) ? log.units : 0;
    const more = log.add(event, this.#clock.now());
    this.#running.set(id, log);
    this.#units += log.units - before;
    this.#forgetOldest();
    if (more) for (const listener of this.#listeners) listener(id);
    return true;
  }

  read(id: string, after: EventCursor | null): EventPage | undefined {
    return (this.#leases.get(id)?.log ?? this.#endedLog(id))?.read(this.#name, after);
  }

  output(id: string): string | undefined {
    return this.#leases.get(id)?.log?.output();
  }

  onAppend(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #endedLog(id: string): AttemptLog | undefined {
    const ended = this.#ended.get(id);
    return ended !== undefined && ended.at + KEPT_MS > this.#clock.now() ? ended.log : undefined;
  }

  /** What has ended goes first: of that the outcome is known. */
  #forgetOldest(): void {
    while (this.#units > ALL_UNITS) {
      const [oldest] = this.#ended.size > 0 ? this.#ended.keys() : this.#running.keys();
      this.#drop(oldest!);
    }
  }

  /** Gives back what the log of `id` holds. That of a run under way goes on, empty. */
  #drop(id: string): void {
    const log = this.#running.get(id) ?? this.#ended.get(id)?.log;
    if (log === undefined) return;
    this.#running.delete(id);
    this.#ended.delete(id);
    this.#units -= log.units;
    log.forget();
  }
}
