/**
 * A process that runs schedules and tells of each as a line of JSON (`ScheduleResult`). `schedules.ts` starts it; by hand:
 *
 *     node --conditions=@inferq/source torture/simulation/main.ts --seed 7              tells all that happens in one
 *     node --conditions=@inferq/source torture/simulation/main.ts --from 1 --schedules 1000 --stop-at-first
 *     … --edits '[{"file":"store/sqlite/apply.ts","find":"…","replace":"…"}]'           with a bug planted
 */
import { parseArgs } from "node:util";
import { simulateGlobals } from "./globals.ts";
import { type Edit, simulateServer } from "./load.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    schedules: { type: "string", default: "1" },
    every: { type: "string", default: "1" },
    steps: { type: "string", default: "1000" },
    edits: { type: "string", default: "[]" },
    "stop-at-first": { type: "boolean", default: false },
  },
});

simulateServer(JSON.parse(values.edits) as Edit[]);
const { runSchedule } = await import("./world/schedule.ts");
simulateGlobals();

const steps = Number(values.steps);
let isKept = true;
if (values.seed === undefined) {
  const from = Number(values.from);
  const end = from + Number(values.schedules);
  for (let seed = from; seed < end; seed += Number(values.every)) {
    const result = await runSchedule(seed, steps);
    console.log(JSON.stringify(result));
    isKept &&= result.broken === null;
    if (!isKept && values["stop-at-first"]) break;
  }
} else {
  const result = await runSchedule(Number(values.seed), steps, (text) => console.log(text));
  console.log(JSON.stringify(result, undefined, 2));
  isKept = result.broken === null;
}
process.exitCode = isKept ? 0 : 1;
