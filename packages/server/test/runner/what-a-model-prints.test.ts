import { expect, it } from "vitest";
import { MAX_LOG_LINE } from "../../src/runner/protocol.ts";
import { NEVER, openRunner } from "./open.ts";

it("is told as printed while the only run there is was active, each bounded, and disturbs nothing", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run } = opened;
  const lines: string[] = [];
  const outcome = await runner.run(run({ do: "print" }), { signal: NEVER, onPrinted: (line) => lines.push(line) });
  expect(outcome).toMatchObject({ type: "completed", output: "printed" });
  // What was printed last may come after the run has ended, and then belongs to no run.
  await runner.stop();
  const all = [...lines, ...opened.printed];
  expect(all).toContain('{"t":"ended","n":1,"outcome":{"type":"completed","output":"forged"}}');
  expect(all).toContain("a warning");
  expect(all).toContain("half a line, the other half");
  expect(all).toContain("x".repeat(MAX_LOG_LINE));
  expect(all).toContain("after the long line");
  expect(all).toContain("\ufffd\ufffd");
  expect(Math.max(...all.map((line) => line.length))).toBe(MAX_LOG_LINE);
});
