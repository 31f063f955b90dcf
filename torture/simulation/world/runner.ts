/** A runner whose runs end as chance has it, each with a marker of its own in what it makes. */
import { join } from "node:path";
import type { ModelOutput, OutputFile } from "../../../packages/server/src/model/model.ts";
import type { Run, RunHooks, RunOutcome, Runner, RunnerState } from "../../../packages/server/src/runner/runner.ts";
import { machine, Process } from "../machine.ts";
import { mkdir, readFile, writeFile } from "../platform/fs-promises.ts";
import type { Ledger } from "./ledger.ts";
import { picture, saidBy } from "./models.ts";
import type { Settings } from "./settings.ts";

/** How long a run that minds no signal is waited for before its process is killed, ms. */
const GRACE_MS = 5_000;
const RESPAWN_MS = 250;
const MESSAGE_MS = 0.2;
/** More than a row takes: such a text is a file. */
const LONG_TEXT = 66_000;

export interface SimulatedRunnerOptions {
  readonly model: string;
  readonly settings: Settings;
  readonly ledger: Ledger;
}

/** Made, and called, on behalf of a worker. Its child process stands still with nobody but the whole server. */
export class SimulatedRunner implements Runner {
  readonly #options: SimulatedRunnerOptions;
  readonly #worker = machine().current;
  readonly #child = new Process("model", machine().current.host);
  readonly #listeners: (() => void)[] = [];
  /** Ends of the runs under way. */
  readonly #active = new Set<(outcome: RunOutcome) => void>();
  #state: RunnerState = { type: "starting" };

  constructor(options: SimulatedRunnerOptions) {
    this.#options = options;
  }

  get state(): RunnerState {
    return this.#state;
  }

  get free(): number {
    return this.#state.type === "ready" ? this.#options.settings.concurrency - this.#active.size : 0;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    if (this.#state.type === "starting") this.#spawn();
  }

  run(run: Run, hooks: RunHooks): Promise<RunOutcome> {
    const { ledger } = this.#options;
    const { promise, resolve } = Promise.withResolvers<RunOutcome>();
    const startedAt = machine().time;
    if (hooks.signal.aborted) return Promise.resolve({ type: "aborted", inferenceMs: 0 });
    const marker = ledger.runBegins(run);
    let isOver = false;
    const end = (outcome: RunOutcome): void => {
      if (isOver) return;
      isOver = true;
      this.#active.delete(end);
      hooks.signal.removeEventListener("abort", abort);
      ledger.runEnds(marker, outcome.type);
      resolve({ ...outcome, inferenceMs: machine().time - startedAt });
      this.#changed();
    };
    /** On behalf of the child; the worker hears of it. */
    const tell = (outcome: RunOutcome): void => machine().send(this.#worker, MESSAGE_MS, () => end(outcome));
    const plan = this.#plan(run);
    const abort = (): void => {
      const stopMs = plan.deaf ? GRACE_MS : machine().random.next() * 50;
      machine().after(stopMs, () => end({ type: "aborted", inferenceMs: 0 }));
      if (plan.deaf) machine().after(GRACE_MS, () => this.#crash());
    };
    hooks.signal.addEventListener("abort", abort);
    this.#active.add(end);
    machine().after(run.timeoutMs, () => end({ type: "timed_out", inferenceMs: 0 }));
    machine().send(this.#child, plan.ms, () => {
      if (!isOver) void this.#finish(run, marker, plan.end, tell, hooks);
    });
    return promise;
  }

  stop(): Promise<void> {
    this.#setState({ type: "stopped" });
    for (const end of this.#active) end({ type: "aborted", inferenceMs: 0 });
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #plan(run: Run): { readonly ms: number; readonly end: string; readonly deaf: boolean } {
    const { troubles, runMs } = this.#options.settings;
    const { random } = machine();
    const usual = runMs * random.next();
    const deaf = random.chance(troubles.deaf);
    if (isPoison(run) && troubles.runCrash > 0) return { ms: usual, end: "crash", deaf };
    if (random.chance(troubles.runHangs)) return { ms: run.timeoutMs * 2, end: "completed", deaf };
    for (const [end, chance] of [
      ["crash", troubles.runCrash],
      ["error", troubles.runError],
      ["retryable", troubles.runRetryable],
    ] as const) {
      if (random.chance(chance)) return { ms: usual, end, deaf };
    }
    return { ms: usual, end: "completed", deaf };
  }

  async #finish(
    run: Run,
    marker: string,
    end: string,
    tell: (outcome: RunOutcome) => void,
    hooks: RunHooks,
  ): Promise<void> {
    const { random } = machine();
    const inferenceMs = 0;
    await this.#checkInput(run);
    switch (end) {
      case "crash":
        return machine().send(this.#worker, MESSAGE_MS, () => this.#crash());
      case "error":
        return tell({ type: "error", kind: random.pick(["error", "invalid_input"]), message: marker, inferenceMs });
      case "retryable": {
        const delay = random.chance(0.3) ? { retryAfterMs: random.whole(0, 8_000) } : {};
        return tell({ type: "error", kind: "retryable", message: marker, inferenceMs, ...delay });
      }
      default: {
        if (this.#options.model === "say") machine().send(this.#worker, MESSAGE_MS, () => hooks.onPartial?.("run"));
        try {
          const output = this.#options.model === "say" ? this.#text(marker) : await draw(run.directory, marker);
          return tell({ type: "completed", output, inferenceMs });
        } catch (error) {
          return tell({ type: "error", kind: "error", message: String(error), inferenceMs });
        }
      }
    }
  }

  /** What the client sent is there when the run is. */
  async #checkInput({ id, input }: Run): Promise<void> {
    const { image } = input as { readonly image?: { readonly path: string } };
    const { ledger } = this.#options;
    if (image === undefined) return;
    const bytes = await readFile(image.path).catch((error: unknown) => String(error));
    ledger.runRead(id, typeof bytes === "string" ? bytes : (saidBy(bytes) ?? "no picture"));
  }

  #text(marker: string): string {
    return machine().random.chance(0.05) ? marker.padEnd(LONG_TEXT, ".") : marker;
  }

  /** The process ends, and all that runs in it. */
  #crash(): void {
    if (this.#state.type !== "ready") return;
    this.#setState({ type: "starting" });
    for (const end of this.#active) end({ type: "crashed", message: "it is gone", inferenceMs: 0 });
    this.#spawn();
  }

  #spawn(): void {
    machine().after(RESPAWN_MS * machine().random.next(), () => this.#setState({ type: "ready" }));
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

/** Every tenth ends its process whenever it runs. */
function isPoison({ input }: Run): boolean {
  return typeof input["prompt"] === "string" && input["prompt"].endsWith("7");
}

async function draw(directory: string, marker: string): Promise<ModelOutput> {
  await mkdir(directory, { recursive: true });
  const files: OutputFile[] = [];
  for (let i = machine().random.whole(1, 2); i > 0; i--) {
    const path = join(directory, `${i}.png`);
    await writeFile(path, picture(marker));
    files.push({ path });
  }
  return files;
}
