/** The lives of the server on one data directory: who runs now, who ran before, and how each ended. */
import { setTimeout as wait } from "node:timers/promises";
import type { Ledger } from "../lib/ledger.ts";
import { memoryOf, runnersOf, signal } from "../lib/processes.ts";
import { type ServerOptions, type ServerProcess, startServer } from "../lib/server.ts";

export interface Life {
  readonly server: ServerProcess;
  /** Set when it listens. */
  base: string | null;
  /** What we did to end it; null while nothing is. */
  ending: "kill" | "stop" | null;
  /** It ended by itself after a stop was asked for, all that it did written down. */
  clean: boolean;
  /** A stop was asked for at this time: from then on it may refuse. */
  stoppingAt: number;
  /** It stood still, by SIGSTOP, at some time since. */
  pausedAt: number;
  /** Memory that it held when it was told to end, bytes. */
  memory: number;
  /** How long it had lived then, ms. */
  agedMs: number;
  readonly ended: Promise<void>;
}

/** Runners end when their server does: the guard needs no more than some turns of the scheduler, and the machine is busy. */
const RUNNERS_GONE_MS = 30_000;

/** A start that takes longer is none: the machine is busy, but not so busy. */
const START_MS = 180_000;

/** How a server may end that was told to. One that was killed may have stopped just before; one that was stopped, not yet have heeded signals. */
const WAYS: Readonly<Record<"kill" | "stop" | "none", readonly (number | NodeJS.Signals)[]>> = {
  kill: ["SIGKILL", 0, 143],
  stop: [0, 143, "SIGTERM"],
  none: [],
};

export class Lives {
  readonly past: Life[] = [];
  readonly #options: ServerOptions;
  readonly #ledger: Ledger<unknown>;
  #now: Life | null = null;
  #over = false;
  #listening = Promise.withResolvers<void>();

  constructor(options: ServerOptions, ledger: Ledger<unknown>) {
    this.#options = options;
    this.#ledger = ledger;
  }

  get now(): Life {
    if (this.#now === null) throw new Error("No server runs.");
    return this.#now;
  }

  get count(): number {
    return this.past.length;
  }

  /** The present one that listens; waits for one. Throws when there is none for very long, or never again. */
  async up(): Promise<Life & { readonly base: string }> {
    for (const until = Date.now() + START_MS; ;) {
      if (this.#over) throw new Error("The run is over.");
      if (Date.now() > until) throw new Error(`No server has listened for ${START_MS} ms.`);
      const life = this.#now;
      if (life !== null && life.base !== null && life.server.lives) return life as Life & { readonly base: string };
      await Promise.race([this.#listening.promise, wait(50)]);
    }
  }

  /** Whether one and the same server has lived, undisturbed, since `since`. */
  undisturbed(since: number): boolean {
    const life = this.#now;
    if (life === null || life.base === null || life.ending !== null || !life.server.lives) return false;
    return life.server.startedAt < since && life.pausedAt < since - 60_000;
  }

  start(): Life {
    const server = startServer(this.#options);
    const life: Life = {
      server,
      base: null,
      ending: null,
      clean: false,
      stoppingAt: Infinity,
      pausedAt: 0,
      memory: 0,
      agedMs: 0,
      ended: server.exited.then((how) => this.#ended(life, how)),
    };
    this.#now = life;
    this.past.push(life);
    void this.#listens(life);
    return life;
  }

  async #listens(life: Life): Promise<void> {
    life.base = await life.server.listening;
    if (life.base !== null && this.#now === life) this.#listening.resolve();
  }

  /** kill -9, and whatever it ran ends with it. */
  async kill(): Promise<void> {
    const life = this.#now;
    if (life !== null) {
      life.ending = "kill";
      weigh(life);
      life.server.signal("SIGKILL");
      await life.ended;
    }
    await this.#runnersGone();
  }

  /** SIGTERM; it ends by itself. */
  async stop(): Promise<void> {
    const { ended } = this.#now ?? {};
    this.askToStop();
    await ended;
    await this.#runnersGone();
  }

  askToStop(): void {
    const life = this.#now;
    if (life === null) return; // the stop asked for before has ended
    life.ending = "stop";
    life.stoppingAt = Date.now();
    weigh(life);
    life.server.signal("SIGTERM");
  }

  /** Ends whatever lives; there is no other life. */
  async end(): Promise<void> {
    this.#over = true;
    if (this.#now !== null) await this.kill();
  }

  #ended(life: Life, how: number | NodeJS.Signals): void {
    if (this.#now === life) {
      this.#now = null;
      this.#listening = Promise.withResolvers();
    }
    life.clean = how === 0;
    if (life.ending === null && !this.#over) this.start(); // a fault, and there may be more
    if (!WAYS[life.ending ?? "none"].includes(how)) {
      this.#ledger.problem(
        `server ${life.server.pid} ended with ${how}, after ${life.ending ?? "nothing"} was asked of it`,
      );
    }
  }

  async #runnersGone(): Promise<void> {
    for (const until = Date.now() + RUNNERS_GONE_MS; ; await wait(20)) {
      const left = await runnersOf(this.#options.directory);
      if (left.length === 0) return;
      // A process that stands still dies only of SIGKILL; so does the guard's kill end it.
      if (Date.now() < until) continue;
      this.#ledger.problem(`processes outlive their server: ${left.join(", ")}`);
      for (const pid of left) signal(pid, "SIGKILL");
      return;
    }
  }
}

function weigh(life: Life): void {
  life.memory = memoryOf(life.server.pid);
  life.agedMs = Date.now() - life.server.startedAt;
}
