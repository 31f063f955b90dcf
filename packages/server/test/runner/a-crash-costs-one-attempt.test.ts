import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { NEVER, openRunner, room } from "./open.ts";
import { scratchDirectory } from "../scratch.ts";

it.each([
  ["abort", "The process was ended by SIGABRT"],
  ["exit", "The process ended with exit code 3"],
  ["throw later", "an error was caught nowhere: nobody catches this"],
  ["reject later", "an error was caught nowhere: nor this"],
  ["garble", "The process broke the runner's protocol: "],
  ["forget the time", "The process broke the runner's protocol: "],
])("%s: the run ends as crashed, and the next one has a new process", async (what, reason) => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const outcome = await runner.run(run({ do: what }), { signal: NEVER });
  expect(outcome).toMatchObject({ type: "crashed", message: expect.stringContaining(reason) as string });
  expect(runner.free).toBe(0);
  await room(runner);
  expect(await runner.run(run({}), { signal: NEVER })).toMatchObject({ type: "completed", output: "fine" });
});

it.each(["answer a ring", "answer a BigInt"])("%s: the run fails, and the process lives", async (what) => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const outcome = await runner.run(run({ do: what }), { signal: NEVER });
  expect(outcome).toMatchObject({
    type: "error",
    kind: "error",
    message: expect.stringContaining("The model's output could not be sent: ") as string,
  });
  expect(runner.free).toBe(2);
});

it("ends every run of the process", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const waiting = runner.run(run({ do: "wait" }), { signal: NEVER });
  const exiting = runner.run(run({ do: "exit" }), { signal: NEVER });
  expect([(await waiting).type, (await exiting).type]).toEqual(["crashed", "crashed"]);
});

it("leaves the other processes of the model alone", async () => {
  await using opened = await openRunner("unruly.ts", { concurrency: 1, processes: 2 });
  const { runner, run } = opened;
  const controller = new AbortController();
  const waiting = runner.run(run({ do: "wait" }), { signal: controller.signal });
  expect((await runner.run(run({ do: "abort" }), { signal: NEVER })).type).toBe("crashed");
  expect(runner.state.type).toBe("ready");
  controller.abort();
  expect((await waiting).type).toBe("aborted");
});

it("a setup that throws leaves the runner failed with its reason, and is tried again", async () => {
  await using memory = await scratchDirectory();
  process.env["SETUP_MEMORY"] = join(memory.path, "tried");
  await using opened = await openRunner("setup-fails-once.ts", { backoffMs: 50 });
  const { runner, run } = opened;
  expect(runner.state).toEqual({ type: "failed", reason: "The weights are not there yet." });
  expect(runner.free).toBe(0);
  await room(runner);
  expect(await runner.run(run({}), { signal: NEVER })).toMatchObject({ output: "fine" });
});

it.skipIf(process.platform === "win32")(
  "a process that cannot be started is tried again, and the server lives",
  async () => {
    const script = join(import.meta.dirname, "without-descriptors.ts");
    const limited = ["-c", 'ulimit -n 256; exec "$0" "$@"', process.execPath, ...process.execArgv, script];
    const { stdout } = await promisify(execFile)("/bin/sh", limited);
    expect(stdout).toMatch(/^EMFILE$/m);
    expect(stdout).toContain("The process could not be started: spawn ");
    expect(stdout).toContain('"output":"fine"');
  },
);

it.each([
  ["no-such-model.ts", "Cannot find module"],
  ["../open.ts", "its default export is no model"],
])("a module that is no model says so: %s", async (module, reason) => {
  await using opened = await openRunner(module, { backoffMs: 60_000 });
  const { state } = opened.runner;
  expect(state).toMatchObject({ type: "failed", reason: expect.stringContaining(reason) as string });
});

it("a model sees neither the server's keys nor another's marker", async () => {
  process.env["INFERQ_API_KEYS"] = "secret";
  await using opened = await openRunner("unruly.ts");
  delete process.env["INFERQ_API_KEYS"];
  const outcome = await opened.runner.run(opened.run({ do: "name the process" }), { signal: NEVER });
  expect(outcome).toMatchObject({ output: expect.stringMatching(/^\d+ no keys test$/) as string });
});
