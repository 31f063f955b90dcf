/** The short form of `npm run torture -- power`. */
import { describe, expect, test } from "vitest";
import { line, type LossReport } from "../../torture/power/line.ts";
import { whyNoShim } from "../../torture/power/shim.ts";

const reason = await whyNoShim();

describe.skipIf(reason !== undefined)(`a real server whose disk loses its power (${reason ?? "here it can"})`, () => {
  test("knows on what is left all that anybody was told, six times over", async () => {
    const reports = await line({ seed: 1, lives: 1, losses: 6, stories: 26 });
    expect(broken(reports)).toEqual([]);
    expect(reports).toHaveLength(6);
  }, 180_000);

  test("loses what a disk lied about: the check finds it", async () => {
    const reports = await line({
      seed: 2,
      lives: 1,
      losses: 8,
      stories: 26,
      trouble: { lies: true },
      untilBroken: true,
    });
    expect(broken(reports).join("\n")).toMatch(/is lost/);
  }, 180_000);
});

function broken(reports: readonly LossReport[]): string[] {
  return reports.flatMap(({ life, cut, faults, directory }) =>
    faults.map((fault) => `life ${life}, lost at ${cut}, left in ${directory}: ${fault}`),
  );
}
