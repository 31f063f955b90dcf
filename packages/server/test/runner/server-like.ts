/** What of a server matters here: a guard and a runner whose model has started another process. Says when it has. */
import { join } from "node:path";
import { startGuard } from "../../src/runner/guard.ts";
import { processRunner } from "../../src/runner/process.ts";
import { started } from "../../src/testing/start.ts";

const [, , pids, next, marker] = process.argv;
const runner = processRunner({
  module: join(import.meta.dirname, "models", "unruly.ts"),
  concurrency: 1,
  guard: startGuard((message) => process.stderr.write(message)),
  marker: marker!,
});
await started(runner);
await runner.run(
  {
    id: "a",
    attempt: 1,
    input: { do: "start another", pids, next },
    directory: "/nowhere",
    timeoutMs: 60_000,
    alone: false,
  },
  { signal: new AbortController().signal, onLog: () => process.stdout.write("running\n") },
);
