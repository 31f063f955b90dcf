/** Loaded into a real server before anything of its own (`node --import`): plants the bug of that name. */
import { BUGS } from "../planted/bugs.ts";
import { plant } from "../simulation/load.ts";

/** Environment variable with the bug's name. */
export const PLANTED = "POWER_PLANTED";

/** The environment in which a server has the bug of that name. */
export function withBug(name: string): Record<string, string> {
  return { [PLANTED]: name, NODE_OPTIONS: `--import=${import.meta.url}` };
}

const name = process.env[PLANTED];
if (name !== undefined) {
  const bug = BUGS.find((one) => one.name === name);
  if (bug === undefined) throw new Error(`There is no bug of the name ${name}.`);
  plant(bug.edits);
}
