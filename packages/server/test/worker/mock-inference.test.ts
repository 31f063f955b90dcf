import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import mock from "../../src/model/mock-inference/model.ts";
import { inlineRunner } from "../../src/runner/inline.ts";
import { started } from "../../src/testing/start.ts";
import { NEVER, openRunner, room } from "../runner/open.ts";
import { scratchDirectory } from "../scratch.ts";

const MODULE = fileURLToPath(import.meta.resolve("../../src/model/mock-inference/model.ts"));
const NOTHING = { sleep: 0, fail: false, crash: false, kind: "image" };
const hasFfprobe = (process.env["PATH"] ?? "").split(":").some((directory) => existsSync(join(directory, "ffprobe")));

describe.skipIf(!hasFfprobe)("makes files that others can decode (needs ffprobe)", () => {
  it.each([
    ["image", "png", 1],
    ["video", "h264", 4],
  ])("%s", async (kind, codec, frames) => {
    await using opened = await openRunner(MODULE);
    const outcome = await opened.runner.run(opened.run({ ...NOTHING, kind }), { signal: NEVER });
    const { path } = (outcome as unknown as { output: { path: string } }).output;
    const fields = ["-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames"];
    const probed = execFileSync("ffprobe", ["-v", "error", ...fields, "-of", "csv=p=0", path], { encoding: "utf8" });
    expect(probed.trim()).toBe(`${codec},64,64,${frames}`);
  });
});

it("fails when asked to", async () => {
  await using opened = await openRunner(MODULE);
  const outcome = await opened.runner.run(opened.run({ ...NOTHING, fail: true }), { signal: NEVER });
  expect(outcome).toMatchObject({ type: "error", kind: "error", message: "mock-inference was asked to fail." });
});

it("sleeps until it is told to stop", async () => {
  await using opened = await openRunner(MODULE);
  const outcome = await opened.runner.run(opened.run({ ...NOTHING, sleep: 600 }, { timeoutMs: 30 }), { signal: NEVER });
  expect(outcome.type).toBe("timed_out");
  expect(outcome.inferenceMs).toBeGreaterThan(0);
  expect(opened.runner.state.type).toBe("ready");
});

it("tells its text word by word over its sleep, and of everything else how far it is", async () => {
  await using opened = await openRunner(MODULE);
  const told = async (kind: string) => {
    const [pieces, fractions]: [string[], number[]] = [[], []];
    const outcome = await opened.runner.run(opened.run({ ...NOTHING, sleep: 0.02, kind }), {
      signal: NEVER,
      onPartial: (text) => pieces.push(text),
      onProgress: (fraction) => fractions.push(fraction),
    });
    expect(outcome.inferenceMs).toBeGreaterThan(10); // a timer may fire a little early
    expect(fractions.at(-1)).toBe(1);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    return { text: pieces.join(""), outcome };
  };
  const { text, outcome } = await told("text");
  expect(outcome).toMatchObject({ type: "completed", output: text });
  expect((await told("image")).text).toBe("");
});

it("crashes its own process", async () => {
  await using opened = await openRunner(MODULE);
  const { runner } = opened;
  expect(await runner.run(opened.run({ ...NOTHING, crash: true }), { signal: NEVER })).toMatchObject({
    type: "crashed",
    message: "The process was ended by SIGKILL",
  });
  await room(runner);
  expect(await runner.run(opened.run(NOTHING), { signal: NEVER })).toMatchObject({ type: "completed" });
});

it("but never the server's", async () => {
  await using scratch = await scratchDirectory();
  const runner = await started(inlineRunner({ definition: mock, concurrency: 1 }));
  const run = {
    id: "a",
    attempt: 1,
    input: { ...NOTHING, crash: true },
    directory: scratch.path,
    timeoutMs: 1_000,
    alone: false,
  };
  expect(await runner.run(run, { signal: NEVER })).toMatchObject({
    type: "error",
    message: expect.stringContaining("only in a process of its own") as string,
  });
});
