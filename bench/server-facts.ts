/** What can be learned about a running server from outside: its metrics, memory and files. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "./processes.ts";

/** Sum of a metric's samples whose labels include `labels`; 0 when it has none yet. */
export async function metric(server: Server, name: string, labels = ""): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`, {
    signal: AbortSignal.timeout(10_000),
  });
  const body = await response.text();
  const samples = body.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  if (!body.includes(`# TYPE ${name} `)) throw new Error(`The server's /metrics has no ${name}.`);
  const fitting = samples.filter((line) => line.includes(labels));
  return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** The unit of times in /proc; 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Memory {
  /** Resident megabytes of the server itself. */
  readonly server: number;
  /** Resident megabytes of its child processes, all generations. */
  readonly children: number;
}

/** From /proc; the bench runs on Linux. */
export function memory(server: Server): Memory {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (/^\d+$/.test(name)) parents.set(Number(name), statusLine(Number(name), "PPid"));
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === server.pid || descends(parent));
  };
  const children = [...parents.keys()].filter(descends);
  return { server: residentMb(server.pid), children: children.reduce((sum, pid) => sum + residentMb(pid), 0) };
}

function residentMb(pid: number): number {
  return statusLine(pid, "VmRSS") / 1024;
}

/** Processor time that the server itself has used. */
export function cpuSeconds(server: Server): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND; // proc_pid_stat(5): utime, stime
}

/** A number of /proc/<pid>/status; 0 when the process has ended or is a kernel thread. */
function statusLine(pid: number, field: string): number {
  try {
    return Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Bytes of the files in the data directory whose names end in `ending`. */
export function fileBytes(server: Server, ending: string): number {
  const names = readdirSync(server.dataDir).filter((name) => name.endsWith(ending));
  return names.reduce((sum, name) => sum + statSync(join(server.dataDir, name)).size, 0);
}
