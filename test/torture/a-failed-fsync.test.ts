/**
 * Linux takes what a failed fsync could not write for written: it is still read back, no later fsync writes it, and a
 * power loss takes it. Whatever SQLite then writes behind it in its log would be lost with it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { emptyRest, Replay, writeOut } from "../../torture/power/replay.ts";
import { shim, ShimmedDisk, whyNoShim } from "../../torture/power/shim.ts";
import { temporaryDirectory } from "../command-line.ts";

const SCRIPT = fileURLToPath(new URL("through-a-failed-fsync.ts", import.meta.url));
const LOSSES = 20;

const reason = await whyNoShim();

describe.skipIf(reason !== undefined)(`an fsync fails, and later the power (${reason ?? "here it can"})`, () => {
  test("a webhook secret that was told in between is the one that signs", async () => {
    using place = await makePlace();
    const told = await place.run("keys", "told");
    const left = place.left("keys.db", "SELECT secret AS found FROM webhook_secrets WHERE expires_at IS NULL");
    expect(left).toEqual(left.map(() => [{ found: told }]));
  }, 60_000);

  test.each([
    ["by the same server", ["store"]],
    ["by the next one, for the first was killed", ["store, killed", "next store"]],
  ])(
    "a request that was accepted in between is there: %s",
    async (_, lives) => {
      using place = await makePlace();
      let told = "";
      for (const life of lives) told = await place.run(life.split(",")[0]!, life.includes("killed") ? "work" : "told");
      const left = place.left("inferq.db", "SELECT lower(hex(id)) AS found FROM requests ORDER BY id DESC LIMIT 1");
      expect(left).toEqual(left.map(() => [{ found: told.replaceAll("-", "") }]));
    },
    60_000,
  );
});

interface Place extends Disposable {
  /** Runs the script and kills it, where it says that fsyncs may work again or at its end. Answers what it said last. */
  run(what: string, until: "work" | "told"): Promise<string>;
  /** What `query` reads from what each of many power losses would leave. */
  left(file: string, query: string): unknown[];
}

async function makePlace(): Promise<Place> {
  using made = new DisposableStack();
  const { path } = made.use(temporaryDirectory());
  const root = join(path, "disk");
  mkdirSync(root);
  const disk = made.use(new ShimmedDisk(await shim(), root, join(path, "log")));
  const replay = new Replay(emptyRest(), root);
  const kept = made.move();
  return {
    async run(what, until) {
      const child = spawn(process.execPath, ["--conditions=@inferq/source", SCRIPT, what, root], {
        env: { ...process.env, ...disk.env },
        stdio: ["pipe", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      let said = "";
      for await (const line of createInterface(child.stdout)) {
        said = line;
        disk.trouble = line === "fail" ? { sync: "EIO" } : {};
        if (line !== "fail" && (line !== "work" || until === "work")) child.kill("SIGKILL");
        child.stdin.write("\n");
      }
      await exited;
      return said;
    },
    left(file, query) {
      const log = disk.log();
      replay.goTo(log, log.length);
      return Array.from({ length: LOSSES }, (_, seed) => {
        const directory = join(path, `left-${seed}`);
        mkdirSync(directory);
        writeOut(replay.afterPowerLoss(seed), directory);
        using db = new DatabaseSync(join(directory, file));
        return db.prepare(query).all();
      });
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}
