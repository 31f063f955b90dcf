import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { dataMarker, endLeftovers, startGuard } from "../../src/runner/guard.ts";
import { scratchDirectory } from "../scratch.ts";
import { NEVER, openRunner } from "./open.ts";
import { end, gone, isAlive } from "./processes.ts";

const posix = it.skipIf(process.platform === "win32"); // Windows has no process groups

posix.each(["wait", "spin"])("kill -9 of the server ends a model that would %s, and what it started", async (next) => {
  await using scratch = await scratchDirectory();
  const { server, pids } = await startServer(scratch.path, next, "none");
  expect(pids.map(isAlive)).toEqual([true, true]);
  server.kill("SIGKILL");
  await gone(...pids);
});

posix("a model's crash ends what it started too", async () => {
  await using opened = await openRunner("unruly.ts");
  const { runner, run, scratch } = opened;
  const pids = join(scratch, "pids");
  const started = Promise.withResolvers<unknown>();
  const first = runner.run(run({ do: "start another", pids }), { signal: NEVER, onLog: started.resolve });
  await started.promise;
  await runner.run(run({ do: "abort" }), { signal: NEVER });
  expect((await first).type).toBe("crashed");
  await gone(...pidsIn(pids));
});

posix("a guard that is killed is replaced, and the new one knows what the old one knew", async () => {
  await using scratch = await scratchDirectory();
  const { server, pids } = await startServer(scratch.path, "spin", "none");
  const guards = () => childrenOf(server.pid!).filter((pid) => !pids.includes(pid));
  const [first] = guards();
  process.kill(first!, "SIGKILL");
  await expect.poll(() => guards().filter((pid) => pid !== first).length).toBe(1);
  server.kill("SIGKILL");
  await gone(...pids);
});

posix("what even the guard missed is ended at the next start, and nothing else", async () => {
  await using mine = await scratchDirectory();
  await using other = await scratchDirectory();
  const marker = await dataMarker(mine.path);
  const left = leaveBehind(marker);
  const foreign = leaveBehind(await dataMarker(other.path));
  expect(await endLeftovers(marker)).toBe(1);
  await gone(left.pid!);
  expect(isAlive(foreign.pid!)).toBe(true);
  expect(await endLeftovers(marker)).toBe(0);
});

posix("the marker reaches what a model starts", async () => {
  await using scratch = await scratchDirectory();
  const marker = await dataMarker(scratch.path);
  const { pids } = await startServer(scratch.path, "wait", marker);
  expect(await endLeftovers(marker)).toBe(2);
  await gone(...pids);
});

posix("a guard forgets groups that have ended", async () => {
  const kept = leaveBehind("none");
  const forgotten = leaveBehind("none");
  const guard = startGuard(() => {});
  guard.add(kept.pid!);
  guard.add(forgotten.pid!);
  guard.remove(forgotten.pid!);
  await guard[Symbol.asyncDispose]();
  await gone(kept.pid!);
  expect(isAlive(forgotten.pid!)).toBe(true);
});

/** A server-like process whose model has started a grandchild; resolves with both their pids. */
async function startServer(scratch: string, next: string, marker: string) {
  const file = join(scratch, "pids");
  const script = join(import.meta.dirname, "server-like.ts");
  const server = spawn(process.execPath, ["--conditions=@inferq/source", script, file, next, marker], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server.stdout, "data");
  const pids = pidsIn(file);
  onTestFinished(() => end(server.pid!, ...pids)); // also when it failed
  return { server, pids };
}

function pidsIn(file: string): number[] {
  return readFileSync(file, "utf8").split(" ").map(Number);
}

/** A process in a group of its own, as a model's would be whose server is gone. */
function leaveBehind(marker: string) {
  const env = { ...process.env, INFERQ_DATA: marker };
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env });
  onTestFinished(() => end(child.pid!)); // also when it failed
  return child;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}
