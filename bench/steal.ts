/** What the host of a virtual machine keeps for itself, from /proc/stat (proc(5), "steal"): rates fall with it, and differently for one process than for three. */
import { readFileSync } from "node:fs";
import os from "node:os";

/** Processor time in ticks since boot: all, and what other machines on the host took meanwhile. */
interface Ticks {
  readonly all: number;
  readonly stolen: number;
}

/** Answers, at any later time, the share (0 to 1) of processor time that was stolen since. */
export function stealMeter(): () => number {
  const from = ticks();
  return () => {
    const now = ticks();
    return (now.stolen - from.stolen) / Math.max(1, now.all - from.all);
  };
}

function ticks(): Ticks {
  if (os.platform() !== "linux") return { all: 0, stolen: 0 };
  const [first = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  // user nice system idle iowait irq softirq steal; guest time is in user already
  const columns = first.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: columns.reduce((sum, n) => sum + n, 0), stolen: columns[7] ?? 0 };
}
