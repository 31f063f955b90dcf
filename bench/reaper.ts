/**
 * Ends what a bench leaves behind, however the bench ends. It reads lines from its parent, `pid <n>`
 * and `dir <path>`; when the pipe closes, by a normal end, Ctrl-C or kill -9 alike, it kills those
 * processes and deletes those directories. Being the one place that cleans up, it is always in use.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const dirs = new Set<string>();

// A Ctrl-C in the terminal reaches the whole group; this process has to stay for the cleaning.
process.on("SIGINT", () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const [word, rest = ""] = line.split(/ (.*)/, 2);
  if (word === "pid") pids.add(Number(rest));
  if (word === "gone") pids.delete(Number(rest));
  if (word === "dir") dirs.add(rest);
}
for (const pid of pids) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
for (const dir of dirs) rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
