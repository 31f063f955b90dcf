/** Runs a model in the server's own process: for trusted trivial code only, for a crash or an endless loop of it is the server's. */
import type { ModelDefinition } from "../model/model.ts";
import { execute, messageOf } from "./execute.ts";
import { MAX_TIMER_MS, type Run, type RunHooks, type RunOutcome, type Runner, type RunnerState } from "./runner.ts";

/** A model whose `setup` throws stays failed; a run that ignores its signal keeps its place until it ends. */
export function inlineRunner(options: { readonly definition: ModelDefinition; readonly concurrency: number }): Runner {
  return new InlineRunner(options.definition, options.concurrency);
}

class InlineRunner implements Runner {
  readonly #definition: ModelDefinition;
  readonly #concurrency: number;
  readonly #listeners: (() => void)[] = [];
  /** Functions that abort the active runs. */
  readonly #aborts = new Set<() => void>();
  #state: RunnerState = { type: "starting" };
  #started = false;
  #session: unknown;

  constructor(definition: ModelDefinition, concurrency: number) {
    this.#definition = definition;
    this.#concurrency = concurrency;
  }

  get state(): RunnerState {
    return this.#state;
  }

  get free(): number {
    return this.#state.type === "ready" ? this.#concurrency - this.#aborts.size : 0;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#setUp();
  }

  async run(run: Run, hooks: RunHooks): Promise<RunOutcome> {
    if (this.free === 0) throw new Error("run() was called on a runner that has no room");
    if (hooks.signal.aborted) return { type: "aborted", inferenceMs: 0 };
    const controller = new AbortController();
    let ending: "aborted" | "timed_out" | undefined;
    function stop(why: "aborted" | "timed_out"): void {
      ending ??= why;
      controller.abort();
    }
    const abort = (): void => stop("aborted");
    const timer = setTimeout(stop, Math.min(run.timeoutMs, MAX_TIMER_MS), "timed_out");
    hooks.signal.addEventListener("abort", abort, { once: true });
    this.#aborts.add(abort);
    const outcome = await execute(this.#definition, this.#session, run, { ...hooks, signal: controller.signal });
    clearTimeout(timer);
    hooks.signal.removeEventListener("abort", abort);
    this.#aborts.delete(abort);
    this.#changed();
    return ending ? { type: ending, inferenceMs: outcome.inferenceMs } : outcome;
  }

  /** Aborts what runs and does not wait for it: nothing can end code that will not end itself. */
  stop(): Promise<void> {
    this.#setState({ type: "stopped" });
    for (const abort of this.#aborts) abort();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #setUp(): Promise<void> {
    try {
      this.#session = await this.#definition.setup?.();
      this.#setState({ type: "ready" });
    } catch (error) {
      this.#setState({ type: "failed", reason: messageOf(error) });
    }
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
