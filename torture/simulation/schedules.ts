/** Runs many schedules, in as many processes as there are cores. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Edit } from "./load.ts";
import type { ScheduleResult } from "./world/schedule.ts";

export type { ScheduleResult } from "./world/schedule.ts";

export interface Asked {
  /** The first seed. */
  readonly from: number;
  readonly schedules: number;
  /** Steps of trouble in each. */
  readonly steps: number;
  /** Bugs to plant. */
  readonly edits?: readonly Edit[];
  /** Processes; as many as there are cores if not set. */
  readonly processes?: number;
}

export const MAIN: string = fileURLToPath(new URL("./main.ts", import.meta.url));

/** `told` hears of each schedule, in no order, and answers whether to go on. Rejects where a process ends without having run its share. */
export async function runSchedules(asked: Asked, told: (result: ScheduleResult) => boolean): Promise<void> {
  const { from, schedules, steps, edits = [], processes = availableParallelism() } = asked;
  const every = Math.min(processes, schedules);
  const stop = new AbortController();
  const share = async (first: number): Promise<void> => {
    const options = { from: first, schedules: schedules - (first - from), every, steps, edits: JSON.stringify(edits) };
    const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(process.execPath, ["--conditions=@inferq/source", MAIN, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = once(child, "close") as Promise<[number | null, string | null]>;
    stop.signal.addEventListener("abort", () => child.kill());
    let left = Math.ceil((schedules - (first - from)) / every);
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
    for await (const line of createInterface(child.stdout)) {
      left -= 1;
      if (!stop.signal.aborted && !told(JSON.parse(line) as ScheduleResult)) stop.abort();
    }
    const [code, signal] = await ended;
    if (left > 0 && !stop.signal.aborted) throw new Error(`A simulation ended early (${code ?? signal}): ${said}`);
  };
  try {
    await Promise.all(Array.from({ length: every }, (_, i) => share(from + i)));
  } finally {
    stop.abort();
  }
}
