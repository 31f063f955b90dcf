/** What the kernel tells of processes: whose they are, what they belong to, what memory they hold. Linux alone tells it so. */
import { readdirSync, readFileSync } from "node:fs";
import { dataMarker, MARKER } from "../../packages/server/src/runner/guard.ts";

/** Processes that models of the server of `directory` run in, and what those started. */
export async function runnersOf(directory: string): Promise<number[]> {
  const entry = `${MARKER}=${await dataMarker(directory)}`;
  return pids().filter((pid) => read(pid, "environ").split("\0").includes(entry));
}

/** All that a process started and that has not ended, the runners' guard among them. */
export function childrenOf(parent: number): number[] {
  return pids().filter((pid) => Number(/^PPid:\s+(\d+)/m.exec(read(pid, "status"))?.[1]) === parent);
}

/** Memory that a process holds, bytes; 0 where it has ended. */
export function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? 0) * 1024;
}

/** Sends a signal to a process, or where `pid` is negative to a group, if it is there still. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile.
  }
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it has ended, or is another user's
  }
}
