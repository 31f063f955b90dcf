/** The contract of a runner: code that runs a model's `setup` once and `run` many times. */
import type { ModelOutput } from "../model/model.ts";

/** `starting`: setup runs. `failed`: setup threw; tried again with backoff. */
export type RunnerState =
  | { readonly type: "starting" }
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "stopped" };

/** One attempt. */
export interface Run {
  readonly id: string;
  readonly attempt: number;
  /** Input as the model takes it: media already local files (`MediaFile`). */
  readonly input: Readonly<Record<string, unknown>>;
  /** Directory of this attempt, for the files that `run` makes. The runner makes it when the model first asks for a file. */
  readonly directory: string;
  /** Execution limit, ms. Counts from when the run begins, not while it waits to be alone. */
  readonly timeoutMs: number;
  /** An attempt of this request ended with its process: it runs with no other in the process, and takes none with it if it was the cause. */
  readonly alone: boolean;
}

/** What a timer can wait at most, ms (24.8 days); asked for longer, it would fire at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

export interface RunHooks {
  /** Aborted when the run must stop: told at once, stopped within the grace. */
  readonly signal: AbortSignal;
  onProgress?(fraction: number): void;
  /** A line of the model's about this run. */
  onLog?(message: string): void;
  /** The next piece of the output, never empty; all together are bounded to `MAX_PARTIAL`. */
  onPartial?(text: string): void;
  /** What was printed while this run alone was active. It may be the last of the run before it, of another client. */
  onPrinted?(line: string): void;
}

/** How much of its output a run tells, in UTF-16 units. */
export const MAX_PARTIAL: number = 1024 * 1024;

/**
 * How a run ended. Never a rejection: what goes wrong is an outcome. `inferenceMs` is the time within
 * `run`; `noDirectory` says that it asked for no file: its directory was not made.
 */
export type RunOutcome =
  | {
      readonly type: "completed";
      readonly output: ModelOutput;
      readonly inferenceMs: number;
      readonly noDirectory?: boolean;
    }
  /** The model threw. */
  | {
      readonly type: "error";
      /** `out_of_room`: it could not write or open files, by the code of the system's error. */
      readonly kind: "error" | "invalid_input" | "retryable" | "out_of_room";
      readonly message: string;
      readonly retryAfterMs?: number;
      readonly inferenceMs: number;
      readonly noDirectory?: boolean;
    }
  | { readonly type: "crashed"; readonly message: string; readonly inferenceMs: number }
  | { readonly type: "timed_out"; readonly inferenceMs: number }
  /** The run has really stopped, or never began: its signal aborted, the runner was stopped, or there was no room any more. */
  | { readonly type: "aborted"; readonly inferenceMs: number };

export interface Runner extends AsyncDisposable {
  readonly state: RunnerState;
  /** Runs that could start now without waiting. 0 unless ready; a process has no room while a run that must be alone runs or waits there. */
  readonly free: number;
  /** Begins `setup`; returns at once. Idempotent. */
  start(): void;
  /** Called when `state` or `free` may have changed. */
  onChange(listener: () => void): void;
  /** Runs one attempt; resolves when it has really ended. At most as many as `free` said while the runner was last looked at: of those some may wait for one that must be alone. */
  run(run: Run, hooks: RunHooks): Promise<RunOutcome>;
  /** Ends every process. Idempotent, safe to race. */
  stop(): Promise<void>;
}
