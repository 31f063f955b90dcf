/**
 * `npm run torture -- planted [--only TEXT] [--schedules N] [--seeds]`: plants each bug, and tells how many schedules the
 * simulation takes to find it, from seed 1 on; with `--seeds` from the seed on from which the tests look.
 */
import { parseArgs } from "node:util";
import { BUGS } from "./bugs.ts";
import { find } from "./find.ts";

/** Within so many schedules each must be found. */
const SCHEDULES = "1000";

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      schedules: { type: "string", default: SCHEDULES },
      seeds: { type: "boolean", default: false },
    },
  });
  const most = Number(values.schedules);
  let missed = 0;
  for (const bug of BUGS) {
    if (!bug.name.includes(values.only)) continue;
    const found = await find(bug, values.seeds ? bug.firstSeed : 1, most);
    if (found === null) missed += 1;
    const told = found === null ? `not in ${most}` : `seed ${found.seed}: ${found.broken.split("\n", 1)[0]}`;
    console.log(`${String(found?.schedules ?? "").padStart(5)}  ${bug.name}\n       ${told}`);
  }
  if (missed > 0) console.log(`${missed} were not found.`);
  return missed === 0;
}
