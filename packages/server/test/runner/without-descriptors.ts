/** Loses a model's process while this one can open nothing more; prints the runner's states until it runs again. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { startGuard } from "../../src/runner/guard.ts";
import { processRunner } from "../../src/runner/process.ts";
import { started } from "../../src/testing/start.ts";
import { room } from "./open.ts";

const signal = new AbortController().signal;
const run = { id: "a", attempt: 1, directory: "/nowhere", timeoutMs: 60_000, alone: false };
const runner = processRunner({
  module: join(import.meta.dirname, "models", "unruly.ts"),
  concurrency: 1,
  guard: startGuard((message) => process.stderr.write(message)),
  marker: "test",
  backoffMs: 1,
});
await started(runner);
const opened: number[] = [];
runner.onChange(() => {
  const { state } = runner;
  process.stdout.write(`${JSON.stringify(state)}\n`);
  if (state.type === "failed") for (const each of opened.splice(0)) closeSync(each);
});
const crashed = runner.run({ ...run, input: { do: "exit" } }, { signal });
try {
  for (;;) opened.push(openSync("/dev/null", "r"));
} catch (error) {
  process.stdout.write(`${(error as { code: string }).code}\n`);
}
await crashed;
await room(runner);
process.stdout.write(`${JSON.stringify(await runner.run({ ...run, input: {} }, { signal }))}\n`);
await runner.stop();
