import { execFileSync, spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { isId } from "../../src/core/ids.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { directory } from "./directory.ts";
import { storeProcess } from "./process.ts";

const prlimit = spawnSync("prlimit", ["--version"]).status === 0;

// A limit on the size of files stands in for the full disk: writes fail, and succeed again once it is lifted.
it.skipIf(!prlimit)(
  "refuses submits while nothing can be written, and goes on by itself [skipped without prlimit, util-linux]",
  async () => {
    const path = directory();
    const child = storeProcess(path, 8);
    await child.line(isId);
    execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=2000000:unlimited"]);
    await child.line((line) => line === "refused store_unavailable");
    execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=unlimited:unlimited"]);
    for (let again = 0; again < 100; again++) await child.line(isId);
    await child.kill();

    expect(
      child.lines.filter((line) => line !== "ready" && line !== "refused store_unavailable" && !isId(line)),
    ).toEqual([]);
    const answered = child.lines.filter(isId);
    await using store = await sqliteStore({ directory: path, clock: systemClock() });
    await store.loaded();
    expect(answered.filter((id) => store.status(id)?.status !== "QUEUED")).toEqual([]);
  },
);
