import { execFileSync, spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { isId } from "../../src/core/ids.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { directory } from "./directory.ts";
import { storeProcess } from "./process.ts";

const REFUSED = "refused store_unavailable ";
const prlimit = spawnSync("prlimit", ["--version"]).status === 0;
const strace = spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0;

// A limit on the size of files stands in for the full disk: writes fail, and succeed again once it is lifted.
it.skipIf(!prlimit)(
  "refuses submits while the disk is full, and goes on by itself [skipped where there is no prlimit]",
  async () => {
    const path = directory();
    const child = storeProcess(path, 8);
    await child.line(isId);
    execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=2000000:unlimited"]);
    await child.line((line) => line.startsWith(REFUSED));
    execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=unlimited:unlimited"]);
    for (let again = 0; again < 100; again++) await child.line(isId);
    await child.kill();
    await expectOnlyTheAnswered(path, child.lines);
  },
);

// SQLite's fsync fails for every thread's 20th: a commit that fails when all of it is in the log already.
it.skipIf(!strace)(
  "refuses a submit whose fsync failed, and has not kept it [skipped where there is no strace]",
  async () => {
    const path = directory();
    const inject = [
      "-f",
      "-qq",
      "-o",
      "/dev/null",
      "-e",
      "trace=fsync,fdatasync",
      "-e",
      "inject=fsync,fdatasync:error=EIO:when=20",
    ];
    const child = storeProcess(path, 1, { under: ["strace", ...inject] });
    await child.line((line) => line.startsWith(REFUSED));
    for (let again = 0; again < 3; again++) await child.line(isId);
    await child.kill();
    await expectOnlyTheAnswered(path, child.lines);
  },
);

async function expectOnlyTheAnswered(path: string, lines: readonly string[]): Promise<void> {
  const answered = lines.filter(isId);
  const refused = lines.filter((line) => line.startsWith(REFUSED)).map((line) => line.slice(REFUSED.length));
  expect(answered.length + refused.length + 1).toBe(lines.length); // and one "ready"
  await using store = await sqliteStore({ directory: path, clock: systemClock() });
  await store.loaded();
  expect(answered.filter((id) => store.status(id)?.status !== "QUEUED")).toEqual([]);
  expect(refused.filter((id) => store.status(id) !== undefined)).toEqual([]);
}
