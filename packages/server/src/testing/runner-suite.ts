import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { MAX_PARTIAL, type Run, type Runner, type RunOutcome } from "../runner/runner.ts";

/** A runner of `suiteModel`, ready, with room for two runs, and an empty directory. Disposed of after each test. */
export interface RunnerFixture extends AsyncDisposable {
  readonly runner: Runner;
  readonly scratch: string;
}

/** The module that the runner under test must run. */
export const suiteModel: string = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./suite-model.ts" : "./suite-model.js", import.meta.url),
);

/** What every runner must do. A runner's test calls it with a way to start one. */
export function runnerSuite(open: () => Promise<RunnerFixture>): void {
  describe("a run", () => {
    it("ends with what the model answered and the time it took", async () => {
      await using fixture = await open();
      const outcome = await go(fixture, { do: "answer", text: "ünïcode\nand lines" });
      expect(outcome).toEqual({
        type: "completed",
        output: { output: "ünïcode\nand lines", seed: 7, reasoning: "setups: 1" },
        inferenceMs: expect.any(Number) as number,
        noDirectory: true,
      });
      expect(outcome.inferenceMs).toBeGreaterThan(0);
    });

    it("tells its progress, bounded to 0 and 1, and its log", async () => {
      await using fixture = await open();
      const told: unknown[] = [];
      await fixture.runner.run(run(fixture, { do: "tell" }), {
        signal: new AbortController().signal,
        onProgress: (fraction) => told.push(fraction),
        onLog: (message) => told.push(message),
      });
      expect(told).toEqual(["first", 0.5, 1, "second"]);
    });

    it("tells its output while it is made: the pieces together are the text", async () => {
      await using fixture = await open();
      const pieces = await piecesOf(fixture, "tell a text");
      expect(pieces.join("")).toBe("The quick brown fox");
      expect(pieces).not.toContain("");
    });

    it("tells what it has of its output before it fails", async () => {
      await using fixture = await open();
      expect((await piecesOf(fixture, "tell a text and fail")).join("")).toBe("half of");
    });

    it("tells of an output no more than the first megabyte", async () => {
      await using fixture = await open();
      const pieces = await piecesOf(fixture, "tell a text without end");
      expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(MAX_PARTIAL);
    });

    it("writes files in its attempt's directory, which is made for the first of them", async () => {
      await using fixture = await open();
      await go(fixture, { do: "answer", text: "" });
      expect(existsSync(run(fixture, {}).directory)).toBe(false);
      const path = join(run(fixture, {}).directory, "out.txt");
      expect(await go(fixture, { do: "write", name: "out.txt" })).toMatchObject({ output: { path } });
      expect(readFileSync(path, "utf8")).toBe("written");
    });

    it.each(["../out.txt", "/tmp/out.txt", "a/b.txt", ".hidden", "", "a\0b", "x".repeat(101)])(
      "may not write a file named %j",
      async (name) => {
        await using fixture = await open();
        const outcome = await go(fixture, { do: "write", name });
        expect(outcome).toMatchObject({ type: "error", kind: "error" });
        expect((outcome as { message: string }).message).toContain("a file name has");
      },
    );
  });

  describe("a model that throws", () => {
    it.each([
      ["fail", { kind: "error", message: "It failed." }],
      ["throw a string", { kind: "error", message: "a string" }],
      ["throw an odd error", { kind: "error", message: "[object Object]" }],
      ["throw a thing without words", { kind: "error", message: "Something was thrown that says nothing." }],
      ["refuse", { kind: "invalid_input", message: "The picture is no picture." }],
      ["retry", { kind: "retryable", message: "Later.", retryAfterMs: 1_500 }],
    ])("%s: its kind and its sentence are the outcome", async (what, expected) => {
      await using fixture = await open();
      expect(await go(fixture, { do: what })).toEqual({
        type: "error",
        ...expected,
        inferenceMs: expect.any(Number) as number,
        noDirectory: true,
      });
      expect(fixture.runner.state.type).toBe("ready");
      expect(fixture.runner.free).toBe(2);
    });
  });

  describe("a run that must stop", () => {
    it("ends as aborted, and only when the model has really stopped", async () => {
      await using fixture = await open();
      const witness = join(fixture.scratch, "witness");
      const waiting = await begin(fixture, { do: "wait", witness });
      expect(fixture.runner.free).toBe(1);
      waiting.abort();
      expect(await waiting.outcome).toEqual({ type: "aborted", inferenceMs: expect.any(Number) as number });
      expect(readFileSync(witness, "utf8")).toBe("stopped");
      expect(fixture.runner.free).toBe(2);
    });

    it("ends as timed out after its limit, even if the model still answers", async () => {
      await using fixture = await open();
      const waiting = await begin(fixture, { do: "answer late" }, 30);
      expect(await waiting.outcome).toEqual({ type: "timed_out", inferenceMs: expect.any(Number) as number });
    });

    it("is not begun when it was aborted before", async () => {
      await using fixture = await open();
      const outcome = await fixture.runner.run(run(fixture, { do: "wait" }), { signal: AbortSignal.abort() });
      expect(outcome.type).toBe("aborted");
      expect(fixture.runner.free).toBe(2);
    });
  });

  describe("the runner", () => {
    it("runs as many at once as it has room for, in one setup, and tells when room comes back", async () => {
      await using fixture = await open();
      const { runner } = fixture;
      const witness = join(fixture.scratch, "witness");
      const [first, second] = [
        await begin(fixture, { do: "wait", witness }),
        await begin(fixture, { do: "wait", witness }),
      ];
      expect(runner.free).toBe(0);
      const room = new Promise<void>((resolve) => runner.onChange(() => runner.free > 0 && resolve()));
      first.abort();
      await room;
      expect(await go(fixture, { do: "answer", text: "" })).toMatchObject({ output: { reasoning: "setups: 1" } });
      second.abort();
      await second.outcome;
      expect(runner.free).toBe(2);
    });

    it("aborts its runs and takes no more when stopped, however often", async () => {
      await using fixture = await open();
      const waiting = await begin(fixture, { do: "wait", witness: join(fixture.scratch, "witness") });
      await Promise.all([fixture.runner.stop(), fixture.runner.stop()]);
      await fixture.runner.stop();
      expect((await waiting.outcome).type).toBe("aborted");
      expect(fixture.runner.state).toEqual({ type: "stopped" });
      expect(fixture.runner.free).toBe(0);
      fixture.runner.start();
      expect(fixture.runner.state).toEqual({ type: "stopped" });
    });
  });
}

function run({ scratch }: RunnerFixture, input: Readonly<Record<string, unknown>>, timeoutMs = 60_000): Run {
  return { id: "a", attempt: 1, input, directory: join(scratch, "a", "1"), timeoutMs, alone: false };
}

/** What a run of the model told of its output, piece by piece. */
async function piecesOf(fixture: RunnerFixture, what: string): Promise<string[]> {
  const pieces: string[] = [];
  const { signal } = new AbortController();
  await fixture.runner.run(run(fixture, { do: what }), { signal, onPartial: (text) => pieces.push(text) });
  return pieces;
}

function go(fixture: RunnerFixture, input: Readonly<Record<string, unknown>>): Promise<RunOutcome> {
  return fixture.runner.run(run(fixture, input), { signal: new AbortController().signal });
}

/** Starts a run that waits; resolves when it does. */
async function begin(
  fixture: RunnerFixture,
  input: Readonly<Record<string, unknown>>,
  timeoutMs?: number,
): Promise<{ readonly outcome: Promise<RunOutcome>; abort(): void }> {
  const controller = new AbortController();
  const waiting = Promise.withResolvers<unknown>();
  const outcome = fixture.runner.run(run(fixture, input, timeoutMs), {
    signal: controller.signal,
    onLog: waiting.resolve,
  });
  await waiting.promise;
  return { outcome, abort: () => controller.abort() };
}
