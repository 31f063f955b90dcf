import type { Runner } from "../runner/runner.ts";

/** Resolves when `runner` is ready or failed. */
export async function started(runner: Runner): Promise<Runner> {
  const { promise, resolve } = Promise.withResolvers<void>();
  function look(): void {
    if (runner.state.type !== "starting") resolve();
  }
  runner.onChange(look);
  runner.start();
  look();
  await promise;
  return runner;
}
