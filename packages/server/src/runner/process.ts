/**
 * Runs a model in child processes, so that a crash, a leak or a native abort costs one attempt and
 * not the server.
 *
 * One process, in words:
 *
 *   starting  spawned, `setup` runs. Takes no runs.
 *   ready     takes up to `concurrency` runs.
 *   failed    `setup` threw or died; a new process comes after a wait that doubles each time.
 *   stopped   for good.
 *
 * A run that must be alone waits until the process is empty, and whatever comes after it waits for it;
 * they run in the order they came.
 *
 * A run that must stop is told so; if it has not ended when the grace is over, its process is
 * discarded, for a process whose run cannot be stopped is in doubt. Whatever ends a process ends its
 * other runs too: those count as crashed. Runs that wait have not begun, and are given back as aborted.
 */
import { startChild, type Child } from "./child-process.ts";
import type { Guard } from "./guard.ts";
import { pool } from "./pool.ts";
import type { FromChild } from "./protocol.ts";
import { MAX_TIMER_MS, type Run, type RunHooks, type RunOutcome, type Runner, type RunnerState } from "./runner.ts";

export interface ProcessRunnerOptions {
  /** The model's module, whose default export is a `ModelDefinition`: absolute path or `file:` URL. */
  readonly module: string;
  /** Runs that one process takes at once. */
  readonly concurrency: number;
  /** How many processes. Default 1. */
  readonly processes?: number;
  /** Kills the processes when the server is gone. */
  readonly guard: Guard;
  /** Marks them for `endLeftovers`. */
  readonly marker: string;
  /** How long a run has to end after its signal aborted, ms. Default 5,000. */
  readonly graceMs?: number;
  /** First wait before a process that ended is replaced, ms; doubles up to 30 s until a run ends well. Default 250. */
  readonly backoffMs?: number;
  /** A line the model printed that belongs to no single run. */
  readonly onOutput?: (line: string) => void;
}

const NOT_BEGUN: RunOutcome = { type: "aborted", inferenceMs: 0 };

/** Longest wait before another try, ms. */
const MAX_BACKOFF_MS = 30_000;

/** A runner of child processes. */
export function processRunner(options: ProcessRunnerOptions): Runner {
  const { processes = 1 } = options;
  if (processes === 1) return new ProcessRunner(options);
  return pool(Array.from({ length: processes }, () => new ProcessRunner(options)));
}

interface WaitingRun {
  readonly run: Run;
  readonly begin: () => void;
  readonly giveBack: () => void;
}

interface ActiveRun {
  readonly hooks: RunHooks;
  readonly alone: boolean;
  readonly startedAt: number;
  /** Set once the run must stop; then it ends so, whatever the model says. */
  ending: "aborted" | "timed_out" | undefined;
  /** Until `ending` the execution limit, then the grace. */
  timer: NodeJS.Timeout;
  readonly end: (outcome: RunOutcome) => void;
}

class ProcessRunner implements Runner {
  readonly #options: ProcessRunnerOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #runs = new Map<number, ActiveRun>();
  /** In the order they came; only behind one that must be alone does any wait. */
  readonly #waiting = new Set<WaitingRun>();
  #state: RunnerState = { type: "starting" };
  #started = false;
  #child: Child | undefined;
  /** What the process said about its end. */
  #lastWords: string | undefined;
  #lastRun = 0;
  /** Processes lost since a run last ended well. */
  #failures = 0;
  #respawn: NodeJS.Timeout | undefined;
  #gone: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: ProcessRunnerOptions) {
    this.#options = options;
  }

  get state(): RunnerState {
    return this.#state;
  }

  get free(): number {
    return this.#state.type === "ready" && this.#waiting.size === 0 && !this.#isReserved ? this.#room : 0;
  }

  /** Places that neither a run has nor one that waits. */
  get #room(): number {
    return this.#options.concurrency - this.#runs.size - this.#waiting.size;
  }

  /** Whether a run that must be alone is active. */
  get #isReserved(): boolean {
    return this.#runs.values().next().value?.alone === true;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    if (this.#started || this.#state.type === "stopped") return;
    this.#started = true;
    this.#spawn();
  }

  run(run: Run, hooks: RunHooks): Promise<RunOutcome> {
    if (hooks.signal.aborted || this.#state.type !== "ready" || this.#room === 0) return Promise.resolve(NOT_BEGUN);
    if (this.#waiting.size === 0 && this.#canBegin(run)) return this.#begin(run, hooks);
    return new Promise((resolve) => {
      const leave = (outcome: RunOutcome | Promise<RunOutcome>): void => {
        hooks.signal.removeEventListener("abort", giveBack);
        this.#waiting.delete(waiting);
        resolve(outcome);
      };
      const giveBack = (): void => {
        leave(NOT_BEGUN);
        this.#beginWaiting();
        this.#changed();
      };
      const waiting = { run, begin: () => leave(this.#begin(run, hooks)), giveBack };
      hooks.signal.addEventListener("abort", giveBack);
      this.#waiting.add(waiting);
    });
  }

  #begin(run: Run, hooks: RunHooks): Promise<RunOutcome> {
    const n = ++this.#lastRun;
    const { promise, resolve } = Promise.withResolvers<RunOutcome>();
    const abort = (): void => this.#stopRun(n, "aborted");
    this.#runs.set(n, {
      hooks,
      alone: run.alone,
      startedAt: performance.now(),
      ending: undefined,
      timer: setTimeout(() => this.#stopRun(n, "timed_out"), Math.min(run.timeoutMs, MAX_TIMER_MS)),
      end: (outcome) => {
        hooks.signal.removeEventListener("abort", abort);
        resolve(outcome);
      },
    });
    hooks.signal.addEventListener("abort", abort, { once: true });
    this.#child!.send({ t: "run", n, input: run.input, directory: run.directory, timeoutMs: run.timeoutMs });
    return promise;
  }

  #canBegin(run: Run): boolean {
    return this.#state.type === "ready" && (run.alone ? this.#runs.size === 0 : !this.#isReserved);
  }

  #beginWaiting(): void {
    for (const { run, begin } of this.#waiting) {
      if (!this.#canBegin(run)) return;
      begin();
    }
  }

  async stop(): Promise<void> {
    this.#setState({ type: "stopped" });
    clearTimeout(this.#respawn);
    for (const run of this.#runs.values()) run.ending ??= "aborted";
    if (this.#child === undefined) return;
    this.#child.terminate();
    await this.#gone.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #spawn(): void {
    this.#gone = Promise.withResolvers();
    this.#lastWords = undefined;
    this.#setState({ type: "starting" });
    this.#child = startChild(this.#options, {
      onMessage: (message) => this.#receive(message),
      onOutput: (line) => this.#takeOutput(line),
      onGone: (reason) => this.#lost(reason),
    });
    this.#child.send({ t: "setup", module: this.#options.module });
  }

  #receive(message: FromChild): void {
    switch (message.t) {
      case "ready":
        if (this.#state.type === "starting") this.#setState({ type: "ready" });
        return;
      case "setup_failed":
        this.#lastWords = message.message;
        return;
      case "fatal":
        this.#lastWords = `an error was caught nowhere: ${message.message}`;
        return;
      case "progress":
        return this.#runs.get(message.n)?.hooks.onProgress?.(message.fraction);
      case "log":
        return this.#runs.get(message.n)?.hooks.onLog?.(message.message);
      case "partial":
        return this.#runs.get(message.n)?.hooks.onPartial?.(message.text);
      case "ended": {
        const run = this.#runs.get(message.n);
        if (run === undefined) throw new Error(`run ${message.n} ended, which does not run`);
        const { outcome } = message;
        this.#failures = 0;
        this.#endRun(message.n, run.ending ? { type: run.ending, inferenceMs: outcome.inferenceMs } : outcome);
        this.#beginWaiting();
        this.#changed();
      }
    }
  }

  /** What is printed while one run alone is active is that run's, or what is left of one that has just ended. */
  #takeOutput(line: string): void {
    const [only, another] = this.#runs.values();
    if (only !== undefined && another === undefined) only.hooks.onPrinted?.(line);
    else this.#options.onOutput?.(line);
  }

  /** Tells a run to stop, and discards the process if it does not. */
  #stopRun(n: number, ending: "aborted" | "timed_out"): void {
    const run = this.#runs.get(n);
    if (run === undefined || run.ending !== undefined) return;
    run.ending = ending;
    clearTimeout(run.timer);
    run.timer = setTimeout(() => {
      if (this.#state.type === "ready") this.#setState({ type: "starting" });
      this.#child?.terminate();
    }, this.#options.graceMs ?? 5_000);
    this.#child?.send({ t: "cancel", n });
  }

  #endRun(n: number, outcome: RunOutcome): void {
    const run = this.#runs.get(n)!;
    this.#runs.delete(n);
    clearTimeout(run.timer);
    run.end(outcome);
  }

  /** The process is gone, and with it all that ran there. */
  #lost(reason: string): void {
    const wasReady = this.#state.type === "ready" || this.#runs.size > 0;
    const message = this.#lastWords ?? `The process ${reason}`;
    this.#child = undefined;
    if (this.#state.type !== "stopped") {
      this.#setState(wasReady ? { type: "starting" } : { type: "failed", reason: message });
      const wait = Math.min(MAX_BACKOFF_MS, (this.#options.backoffMs ?? 250) * 2 ** this.#failures++);
      this.#respawn = setTimeout(() => this.#spawn(), wait);
    }
    for (const { giveBack } of this.#waiting) giveBack();
    for (const [n, run] of this.#runs) {
      const inferenceMs = performance.now() - run.startedAt;
      this.#endRun(n, run.ending ? { type: run.ending, inferenceMs } : { type: "crashed", message, inferenceMs });
    }
    this.#gone.resolve();
  }

  #setState(state: RunnerState): void {
    if (this.#state.type === "stopped") return;
    this.#state = state;
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
