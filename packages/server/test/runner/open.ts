import { join } from "node:path";
import { startGuard } from "../../src/runner/guard.ts";
import { processRunner, type ProcessRunnerOptions } from "../../src/runner/process.ts";
import type { Run, Runner } from "../../src/runner/runner.ts";
import { started } from "../../src/testing/start.ts";
import { scratchDirectory } from "../scratch.ts";

export interface Opened extends AsyncDisposable {
  readonly runner: Runner;
  readonly scratch: string;
  /** Lines the model printed that belong to no run. */
  readonly printed: readonly string[];
  readonly run: (input: Readonly<Record<string, unknown>>, how?: Partial<Pick<Run, "timeoutMs" | "alone">>) => Run;
}

/** A process runner with its guard and a scratch directory, started. `module` is a file of ./models or an absolute path. */
export async function openRunner(
  module: string,
  options: Partial<Pick<ProcessRunnerOptions, "concurrency" | "processes" | "graceMs" | "backoffMs">> = {},
): Promise<Opened> {
  const scratch = await scratchDirectory();
  const guard = startGuard(() => {});
  const printed: string[] = [];
  const runner = processRunner({
    module: join(import.meta.dirname, "models", module),
    concurrency: 2,
    guard,
    marker: "test",
    backoffMs: 1,
    onOutput: (line) => printed.push(line),
    ...options,
    ...(module.startsWith("/") && { module }),
  });
  await started(runner);
  while (runner.state.type === "ready" && runner.free < (options.concurrency ?? 2) * (options.processes ?? 1)) {
    await new Promise<void>((resolve) => runner.onChange(resolve));
  }
  return {
    runner,
    scratch: scratch.path,
    printed,
    run: (input, { timeoutMs = 60_000, alone = false } = {}) => ({
      id: "a",
      attempt: 1,
      input,
      directory: join(scratch.path, "a", "1"),
      timeoutMs,
      alone,
    }),
    async [Symbol.asyncDispose]() {
      await runner.stop();
      await guard[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when `runner` has room, now or later. */
export async function room(runner: Runner): Promise<void> {
  if (runner.free > 0) return;
  await new Promise<void>((resolve) => runner.onChange(() => runner.free > 0 && resolve()));
}

export const NEVER: AbortSignal = new AbortController().signal;
