import { describe, vi } from "vitest";
import { inlineRunner } from "../../src/runner/inline.ts";
import type { ModelDefinition } from "../../src/model/model.ts";
import { runnerSuite, suiteModel } from "../../src/testing/runner-suite.ts";
import { started } from "../../src/testing/start.ts";
import { scratchDirectory } from "../scratch.ts";
import { openRunner } from "./open.ts";

describe("in a child process", () => runnerSuite(() => openRunner(suiteModel)));

describe("in two child processes with one place each", () => {
  runnerSuite(() => openRunner(suiteModel, { concurrency: 1, processes: 2 }));
});

describe("inline", () => {
  runnerSuite(async () => {
    const scratch = await scratchDirectory();
    vi.resetModules(); // a fresh copy, as a new process has one
    const { default: definition } = (await import(suiteModel)) as { default: ModelDefinition };
    const runner = await started(inlineRunner({ definition, concurrency: 2 }));
    return {
      runner,
      scratch: scratch.path,
      async [Symbol.asyncDispose]() {
        await runner.stop();
        await scratch[Symbol.asyncDispose]();
      },
    };
  });
});
