import { expect, it, vi } from "vitest";
import { NEVER, openRunner, room } from "./open.ts";

const ALONE = { alone: true };

it("waits until the process is empty, in its turn, and the others wait for it", async () => {
  await using opened = await openRunner("unruly.ts", { concurrency: 8 });
  const { runner, run } = opened;
  const first = new AbortController();
  const ended: string[] = [];
  const waiting = runner.run(run({ do: "wait" }), { signal: first.signal }).finally(() => ended.push("first"));
  const rest = ["alone", "alone too", "another", "yet another"].map(async (name) => {
    const outcome = await runner.run(run({ do: "count the company" }, { alone: name.startsWith("alone") }), {
      signal: NEVER,
    });
    ended.push(name);
    return outcome;
  });
  expect(runner.free).toBe(0);
  expect(runner.state.type).toBe("ready");
  first.abort();
  await waiting;
  const outputs = (await Promise.all(rest)).map((outcome) => outcome.type === "completed" && outcome.output);
  expect(outputs).toEqual(["1", "1", "2", expect.stringMatching(/^[12]$/)]);
  expect(ended).toEqual(["first", "alone", "alone too", "another", "yet another"]);
  expect(runner.free).toBe(8);
});

it("has its whole time when it begins, however long it waited", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const first = new AbortController();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const waiting = runner.run(run({ do: "wait" }, { timeoutMs: 100_000 }), { signal: first.signal });
  const alone = runner.run(run({}, { alone: true, timeoutMs: 60_000 }), { signal: NEVER });
  vi.advanceTimersByTime(90_000);
  first.abort();
  await waiting;
  expect(await alone).toMatchObject({ type: "completed" });
  vi.useRealTimers(); // the process is ended by them
});

it("that is aborted while it waits never begins, and makes room", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = runner.run(run({ do: "wait" }), { signal: first.signal });
  const alone = runner.run(run({}, ALONE), { signal: second.signal });
  expect(runner.free).toBe(0);
  second.abort();
  expect(await alone).toEqual({ type: "aborted", inferenceMs: 0 });
  expect(runner.free).toBe(1);
  first.abort();
  await waiting;
});

it("that waits for a process which dies is given back, not crashed", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const dying = runner.run(run({ do: "exit" }, ALONE), { signal: NEVER });
  const alone = runner.run(run({}, ALONE), { signal: NEVER });
  expect((await dying).type).toBe("crashed");
  expect(await alone).toEqual({ type: "aborted", inferenceMs: 0 });
  await room(runner);
  expect(runner.free).toBe(2);
});

it("takes one process of several, and leaves the others their runs", async () => {
  await using opened = await openRunner("unruly.ts", { processes: 2 });
  const { runner, run } = opened;
  const first = new AbortController();
  const waiting = runner.run(run({ do: "wait" }, ALONE), { signal: first.signal });
  expect(runner.free).toBe(2);
  expect(await runner.run(run({}), { signal: NEVER })).toMatchObject({ type: "completed" });
  first.abort();
  await waiting;
  expect(runner.free).toBe(4);
});
