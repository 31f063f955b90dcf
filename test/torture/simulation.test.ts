import { expect, test } from "vitest";
import { runSchedules, type ScheduleResult } from "../../torture/simulation/schedules.ts";

async function resultsOf(from: number, schedules: number, steps: number): Promise<ScheduleResult[]> {
  const results: ScheduleResult[] = [];
  await runSchedules({ from, schedules, steps, processes: 2 }, (result) => results.push(result) > 0);
  return results.sort((a, b) => a.seed - b.seed);
}

test("no promise is broken on two hundred simulated machines", { timeout: 300_000 }, async () => {
  const results = await resultsOf(1, 200, 600);
  expect(results).toHaveLength(200);
  expect(results.filter(({ broken }) => broken !== null)).toEqual([]);
});

test("a seed replays exactly, whatever was simulated before it", { timeout: 120_000 }, async () => {
  const [first] = await resultsOf(7, 1, 600);
  const before = await resultsOf(5, 6, 600);
  expect(before.find(({ seed }) => seed === 7)).toEqual(first);
});
