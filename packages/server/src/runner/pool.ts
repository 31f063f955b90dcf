/** Several runners of one model behind the contract of one. */
import type { Run, RunHooks, RunOutcome, Runner, RunnerState } from "./runner.ts";

/** Each run goes to the runner with the most room. Ready as soon as one is. */
export function pool(runners: readonly Runner[]): Runner {
  async function stop(): Promise<void> {
    await Promise.all(runners.map((runner) => runner.stop()));
  }
  return {
    get state(): RunnerState {
      const states = runners.map((runner) => runner.state);
      for (const type of ["ready", "starting", "failed"]) {
        const state = states.find((state) => state.type === type);
        if (state !== undefined) return state;
      }
      return { type: "stopped" };
    },
    get free(): number {
      return runners.reduce((sum, runner) => sum + runner.free, 0);
    },
    start() {
      for (const runner of runners) runner.start();
    },
    onChange(listener) {
      for (const runner of runners) runner.onChange(listener);
    },
    run(run: Run, hooks: RunHooks): Promise<RunOutcome> {
      return runners.reduce((best, runner) => (runner.free > best.free ? runner : best)).run(run, hooks);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
