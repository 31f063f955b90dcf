/** What stands between a server and its disk in the torture: it must see everything, and be believed. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { emptyRest, Replay, writeOut } from "../../torture/power/replay.ts";
import { shim, ShimmedDisk, type Trouble, whyNoShim } from "../../torture/power/shim.ts";
import { type Ended, inferq, node } from "../command-line.ts";

const reason = await whyNoShim();

describe.skipIf(reason !== undefined)(`the shim (${reason ?? "here it can be made"})`, () => {
  test("a key that was printed is there after any power loss, in a data directory that is new", async () => {
    using place = await makePlace();
    const replay = new Replay(emptyRest(), place.root);
    const made = await inferq(
      ["keys", "create", "--name", "a", "--data-dir", join(place.root, "new/data")],
      place.disk.env,
    );
    expect(made).toMatchObject({ code: 0 });
    const log = place.disk.log();
    replay.goTo(log, log.length);
    for (let seed = 1; seed <= 20; seed++) {
      const left = join(place.directory, `left-${seed}`);
      mkdirSync(left);
      writeOut(replay.afterPowerLoss(seed), left);
      using db = new DatabaseSync(join(left, "new/data/keys.db"));
      expect(db.prepare("SELECT name FROM keys").all()).toEqual([{ name: "a" }]);
    }
  });

  test("the log tells of everything that was done", async () => {
    using place = await makePlace();
    const replay = new Replay(emptyRest(), place.root);
    const done = await run(place, EVERYTHING);
    expect(done.stderr).toBe("");
    const log = place.disk.log();
    replay.goTo(log, log.length);
    const told = [...replay.present.disk.tree("/")].map(([path, bytes]) => [
      path.slice(1),
      bytes && Buffer.from(bytes),
    ]);
    expect(Object.fromEntries(told)).toEqual(treeOf(place.root));
    expect(Object.keys(treeOf(place.root))).toContain("there/renamed");
  });

  test.each([
    [{ write: "EIO" }, "writing: EIO"],
    [{ sync: "EIO" }, "fsync: EIO"],
    [{ name: "EROFS" }, "making: EROFS"],
    [{ room: 0 }, "making: ENOSPC"],
    [{ room: 5 }, "writing: ENOSPC after 5"],
    [{ syncMs: [60, 70] }, "fsync took its time"],
    [{}, "all is well"],
  ] satisfies [Trouble, string][])("a disk with %j: %s", async (trouble, said) => {
    using place = await makePlace();
    place.disk.trouble = trouble;
    expect((await run(place, TRY)).stdout.trim()).toBe(said);
  });
});

interface Place extends Disposable {
  readonly directory: string;
  readonly root: string;
  readonly disk: ShimmedDisk;
}

async function makePlace(): Promise<Place> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "inferq-shimmed-")));
  const root = join(directory, "disk");
  mkdirSync(root);
  const disk = new ShimmedDisk(await shim(), root, join(directory, "log"));
  return {
    directory,
    root,
    disk,
    [Symbol.dispose]() {
      disk[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs `script` in a process that believes in the disk, in its root. */
async function run({ root, disk }: Place, script: string): Promise<Ended> {
  return await node(["--input-type=module", "-e", script], disk.env, root);
}

/** Every way in which Node and SQLite change files. */
const EVERYTHING = `
  import fs from "node:fs";
  import fsp from "node:fs/promises";
  import { once } from "node:events";
  import { createServer } from "node:net";
  import { DatabaseSync } from "node:sqlite";
  fs.mkdirSync("there/deep/deeper", { recursive: true });
  fs.writeFileSync("there/a", "written and cut");
  fs.truncateSync("there/a", 7);
  fs.appendFileSync("there/a", " and gone on");
  await fsp.writeFile("there/b", Buffer.alloc(300_000, 1), { flush: true });
  fs.copyFileSync("there/b", "there/copy");
  await fsp.copyFile("there/b", "there/copy-2", fs.constants.COPYFILE_FICLONE);
  fs.cpSync("there/a", "there/copy-3");
  fs.linkSync("there/a", "there/linked");
  fs.renameSync("there/a", "there/renamed");
  fs.renameSync("there/renamed", "there/linked");
  const file = await fsp.open("there/c", "w+");
  await file.writev([Buffer.from("one "), Buffer.from("two")], 5);
  await file.write("three", 0);
  await file.truncate(100);
  await file.close();
  // The number of a descriptor that was closed is another's now.
  const server = createServer((socket) => socket.end("not of a file"));
  await once(server.listen("socket"), "listening");
  server.close();
  const stream = fs.createWriteStream("there/d");
  for (let i = 0; i < 100; i++) stream.write("line " + i);
  await once(stream.end(), "close");
  fs.chmodSync("there/d", 0o600);
  fs.writeFileSync("there/deep/e", "");
  fs.rmSync("there/deep", { recursive: true });
  await fsp.mkdir("gone/deep", { recursive: true });
  await fsp.rm("gone", { recursive: true });
  for (const mode of ["DELETE", "WAL"]) {
    const db = new DatabaseSync(mode + ".db");
    db.exec("PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = " + mode);
    db.exec("CREATE TABLE t (x); BEGIN");
    for (let i = 0; i < 500; i++) db.prepare("INSERT INTO t VALUES (?)").run("x".repeat(i));
    db.exec("COMMIT; DELETE FROM t WHERE rowid % 2 = 0; PRAGMA incremental_vacuum");
    db.close();
  }
`;

const TRY = `
  import fs from "node:fs";
  const attempt = (what, work) => {
    try { return work(); } catch ({ code }) { console.log(what + ": " + code + after); process.exit(); }
  };
  let after = "";
  const file = attempt("making", () => fs.openSync("file", "w"));
  attempt("writing", () => {
    const written = fs.writeSync(file, "0123456789");
    if (written === 10) return;
    after = " after " + written;
    fs.writeSync(file, "56789");
  });
  const start = performance.now();
  attempt("fsync", () => fs.fsyncSync(file));
  console.log(performance.now() - start > 50 ? "fsync took its time" : "all is well");
`;

function treeOf(root: string): Record<string, Buffer | null> {
  const names = (readdirSync(root, { recursive: true }) as string[]).filter((name) => name !== "socket");
  const entries = names.map((name): [string, Buffer | null] => {
    const path = join(root, name);
    return [name, statSync(path).isDirectory() ? null : readFileSync(path)];
  });
  return { "": null, ...Object.fromEntries(entries) };
}
