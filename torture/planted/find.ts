/** Has the simulation look for a planted bug, in a process of its own: bugs are planted into text that is not loaded yet. */
import { runSchedules } from "../simulation/schedules.ts";
import type { PlantedBug } from "./bug.ts";

const STEPS = 1_000;

export interface Found {
  /** How many schedules it took. */
  readonly schedules: number;
  readonly seed: number;
  /** The promise that it broke. */
  readonly broken: string;
}

/** Runs schedules of the seeds from `from` on until one finds `bug`, at most `most`. Null: none did. */
export async function find({ edits }: PlantedBug, from: number, most: number): Promise<Found | null> {
  let found: Found | null = null;
  let run = 0;
  await runSchedules({ from, schedules: most, steps: STEPS, edits, processes: 1 }, ({ seed, broken }) => {
    run += 1;
    if (broken === null) return true;
    if (broken.startsWith("the simulation itself")) throw new Error(`Seed ${seed}: ${broken}`);
    found = { schedules: run, seed, broken };
    return false;
  });
  return found;
}
