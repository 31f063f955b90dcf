import { readFileSync } from "node:fs";
import { vi } from "vitest";

/** Whether a process still does anything: one that has ended may wait a while for its parent to take note. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return false;
  }
}

/** Resolves when all are gone; fails after a while. Nothing tells the end of a process that is not ours. */
export async function gone(...pids: number[]): Promise<void> {
  await vi.waitFor(
    () => {
      const alive = pids.filter(isAlive);
      if (alive.length > 0) throw new Error(`Still alive: ${alive.join(", ")}`);
    },
    { timeout: 5_000, interval: 10 },
  );
}

/** Kills what is still alive of them. */
export function end(...pids: number[]): void {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, "SIGKILL");
}
