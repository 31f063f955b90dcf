/** Has the simulation look for a planted bug, in a process of its own: bugs are planted into text that is not loaded yet. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ScheduleResult } from "../simulation/world/schedule.ts";
import type { PlantedBug } from "./bug.ts";

const MAIN = fileURLToPath(new URL("../simulation/main.ts", import.meta.url));

export interface Found {
  /** How many schedules it took. */
  readonly schedules: number;
  readonly seed: number;
  /** The promise that it broke. */
  readonly broken: string;
}

/** Runs schedules of the seeds from `from` on until one finds `bug`, at most `most`. Null: none did. */
export async function find({ edits }: PlantedBug, from: number, most: number): Promise<Found | null> {
  const args = ["--conditions=@inferq/source", "--no-warnings", MAIN, "--edits", JSON.stringify(edits)];
  const schedules = ["--from", String(from), "--schedules", String(most), "--stop-at-first"];
  const child = spawn(process.execPath, [...args, ...schedules], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let run = 0;
  for await (const line of createInterface(child.stdout)) {
    const { seed, broken } = JSON.parse(line) as ScheduleResult;
    run += 1;
    if (broken !== null) {
      await ended;
      if (broken.startsWith("the simulation itself")) throw new Error(`Seed ${seed}: ${broken}`);
      return { schedules: run, seed, broken };
    }
  }
  await ended;
  if (run === most) return null;
  throw new Error(`The simulation ended after ${run} of ${most} schedules; what it said stands above.`);
}
