import { expect, it } from "vitest";
import { NEVER, openRunner, room } from "./open.ts";

it.each(["spin", "ignore all"])("%s: it times out with its process, and the next run has a new one", async (what) => {
  await using opened = await openRunner("unruly.ts", { graceMs: 20 });
  const { runner, run } = opened;
  expect(await runner.run(run({ do: what }, { timeoutMs: 200 }), { signal: NEVER })).toMatchObject({
    type: "timed_out",
  });
  await room(runner);
  expect(await runner.run(run({}), { signal: NEVER })).toMatchObject({ output: "fine" });
});

it("a cancelled run that spins ends as aborted, when its process is gone", async () => {
  await using opened = await openRunner("unruly.ts", { graceMs: 20 });
  const { runner, run } = opened;
  const controller = new AbortController();
  const outcome = await runner.run(run({ do: "spin" }), { signal: controller.signal, onLog: () => controller.abort() });
  expect(outcome.type).toBe("aborted");
});

it("takes no further run while its process is being ended", async () => {
  await using opened = await openRunner("unruly.ts", { graceMs: 20 });
  const { runner, run } = opened;
  const freeWhenEnding = new Promise<number>((resolve) => {
    runner.onChange(() => runner.state.type === "starting" && resolve(runner.free));
  });
  const spinning = runner.run(run({ do: "ignore all" }, { timeoutMs: 20 }), { signal: NEVER });
  expect(await freeWhenEnding).toBe(0);
  await spinning;
});

it("a stop ends a process that is busy for ever", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const spinning = Promise.withResolvers<void>();
  const outcome = runner.run(run({ do: "spin" }), { signal: NEVER, onLog: () => spinning.resolve() });
  await spinning.promise;
  await runner.stop();
  expect((await outcome).type).toBe("aborted");
});
