import type { EventLog, RunEvent } from "../store/events.ts";
import type { Lease } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

/** Progress is told so often at most, ms: a model may tell it for every pixel. */
const PROGRESS_EVERY_MS = 200;

/** Passes what one run tells on to the event log. What becomes of it there never disturbs the run. */
export class Teller {
  readonly #events: Pick<EventLog, "append">;
  readonly #lease: Lease;
  readonly #log: Log;
  /** The log has said that the lease does not hold, or the run is over. */
  #silent = false;
  #faulty = false;
  /** Progress since it was last told. */
  #latest: number | undefined;
  /** Runs for a while after progress was told. */
  #pause: NodeJS.Timeout | undefined;

  constructor(events: Pick<EventLog, "append">, lease: Lease, log: Log) {
    this.#events = events;
    this.#lease = lease;
    this.#log = log;
  }

  progress(fraction: number): void {
    this.#latest = fraction;
    if (this.#pause === undefined) this.#tellProgress();
  }

  line(message: string): void {
    this.#log.debug({ ...this.#about(), line: message }, "model says");
    this.#append({ type: "log", message });
  }

  output(text: string): void {
    this.#append({ type: "output", text });
  }

  /** The run is over: the latest progress is told, and nothing after it. */
  end(): void {
    clearTimeout(this.#pause);
    if (this.#latest !== undefined) this.#append({ type: "progress", fraction: this.#latest });
    this.#silent = true;
  }

  #tellProgress(): void {
    const fraction = this.#latest;
    this.#latest = this.#pause = undefined;
    if (fraction === undefined || this.#silent) return;
    this.#append({ type: "progress", fraction });
    this.#pause = setTimeout(() => this.#tellProgress(), PROGRESS_EVERY_MS);
  }

  #append(event: RunEvent): void {
    if (this.#silent) return;
    const { id, token } = this.#lease;
    try {
      const held = this.#events.append(id, token, event);
      if (held === false) this.#silent = true;
      else if (held !== true)
        held.then(
          (later) => (this.#silent ||= !later),
          (error: unknown) => this.#failed(error),
        );
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.#faulty) return; // told once, for a run may tell thousands of things
    this.#faulty = true;
    this.#log.warn({ ...this.#about(), err: error }, "what a run tells cannot be passed on");
  }

  #about(): object {
    const { id: request, model, owner, attempt } = this.#lease;
    return { request, model, owner, attempt };
  }
}
