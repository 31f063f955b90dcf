/**
 * `npm run torture -- simulation [--schedules 10000] [--steps 1000] [--from 1]`: thousands of schedules, each drawn from its
 * seed. `--seed N` replays one and tells all that happens in it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { missing, tally } from "./coverage.ts";
import { MAIN, runSchedules, type ScheduleResult } from "./schedules.ts";

const TELL_EVERY_MS = 10_000;
/** Failures told in full. */
const TOLD = 10;

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      schedules: { type: "string", default: "10000" },
      steps: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
    },
  });
  if (values.seed !== undefined) return await replay(values.seed, values.steps);
  const schedules = Number(values.schedules);
  const results: ScheduleResult[] = [];
  const broken: ScheduleResult[] = [];
  const startedAt = performance.now();
  const rate = (): string => (results.length / ((performance.now() - startedAt) / 1_000)).toFixed(1);
  const timer = setInterval(() => {
    console.log(`  ${results.length} of ${schedules} schedules, ${rate()} a second, ${broken.length} broken`);
  }, TELL_EVERY_MS);
  try {
    await runSchedules({ from: Number(values.from), schedules, steps: Number(values.steps) }, (result) => {
      results.push(result);
      if (result.broken !== null) {
        broken.push(result);
        if (broken.length <= TOLD) {
          console.log(`  seed ${result.seed} breaks a promise: ${result.broken}`);
          console.log(`    npm run torture -- simulation --seed ${result.seed} --steps ${values.steps}`);
        }
      }
      return true;
    });
  } finally {
    clearInterval(timer);
  }
  const met = tally(results);
  const steps = results.reduce((sum, result) => sum + result.steps, 0);
  console.log(
    `  ${results.length} schedules, ${steps} steps, ${rate()} schedules a second, ${broken.length} broken. They met:`,
  );
  for (const [what, count] of met) console.log(`    ${String(count).padStart(9)} ${what}`);
  const unmet = missing(met, results.length);
  for (const what of unmet) console.log(`  Too little was met to prove anything: ${what}`);
  return broken.length === 0 && unmet.length === 0;
}

async function replay(seed: string, steps: string): Promise<boolean> {
  const flags = ["--conditions=@inferq/source", MAIN, "--seed", seed, "--steps", steps];
  const [code] = (await once(spawn(process.execPath, flags, { stdio: "inherit" }), "close")) as [number | null];
  return code === 0;
}
