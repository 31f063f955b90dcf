import { createHash } from "node:crypto";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as node from "node:sqlite";
import { afterEach, describe, expect, test } from "vitest";
import { Disk, fault } from "../../torture/simulation/disk.ts";
import { Machine, Process, switchTo } from "../../torture/simulation/machine.ts";
import { DatabaseSync } from "../../torture/simulation/platform/sqlite.ts";
import { wasm } from "../../torture/simulation/platform/sqlite/wasm.ts";
import { Random } from "../../torture/simulation/random.ts";

const PATH = "/data/x.db";

/** A machine with an empty data directory, as it will be after any power loss. */
function start(seed = 1): Machine {
  const random = new Random(seed);
  const machine = new Machine(random, new Disk(random), new Process("first"));
  switchTo(machine);
  machine.disk.mkdir("/data");
  machine.disk.open("/").sync();
  return machine;
}

afterEach(() => switchTo(null));

class Died extends Error {}

/** The present process dies at the disk operation with that number from now on. */
function dieAt(machine: Machine, number: number): void {
  const { disk, current } = machine;
  let left = number;
  disk.before = ({ changes }) => {
    if (machine.current !== current || (changes && left-- > 0)) return;
    if (!changes && current.isAlive) return;
    current.isAlive = false;
    throw new Died("killed");
  };
}

function nextProcess(machine: Machine): void {
  machine.disk.before = null;
  machine.current = new Process("next");
}

function openLog(synchronous: string): DatabaseSync {
  const db = new DatabaseSync(PATH);
  db.exec(`PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = ${synchronous}; PRAGMA wal_autocheckpoint = 6`);
  db.exec("CREATE TABLE IF NOT EXISTS rows (number INTEGER, half INTEGER, text TEXT) STRICT");
  return db;
}

/** Commits pairs of rows until the process dies. Answers the number of the last that was committed. */
function commitUntilDeath(machine: Machine, synchronous: string): number {
  let committed = 0;
  dieAt(machine, machine.random.whole(0, 150));
  try {
    const db = openLog(synchronous);
    const insert = db.prepare("INSERT INTO rows VALUES (?, ?, ?)");
    for (let number = 1; ; number += 1) {
      db.exec("BEGIN IMMEDIATE");
      insert.run(number, 1, "x".repeat(machine.random.whole(0, 9_000)));
      insert.run(number, 2, "");
      db.exec("COMMIT");
      committed = number;
    }
  } catch (error) {
    if (!(error instanceof Died)) throw error;
  }
  return committed;
}

/** What is wrong with the file after the process has died, and with it, if so, the machine. */
function damage(seed: number, synchronous: string, loss: "process" | "power"): string | null {
  const machine = start(seed);
  const committed = commitUntilDeath(machine, synchronous);
  if (loss === "power") machine.disk.powerLoss();
  nextProcess(machine);
  let db;
  try {
    db = openLog("FULL");
    const { integrity_check: check } = db.prepare("PRAGMA integrity_check").get() as { integrity_check: string };
    if (check !== "ok") return "damaged";
    const { last, halves } = db
      .prepare("SELECT ifnull(max(number), 0) AS last, count(*) AS halves FROM rows")
      .get() as Record<"last" | "halves", number>;
    if (halves !== last * 2) return "half";
    return last < committed ? "lost" : null;
  } catch {
    return "damaged";
  } finally {
    db?.close();
  }
}

function damages(synchronous: string, loss: "process" | "power", seeds = 100): Set<string | null> {
  return new Set(Array.from({ length: seeds }, (_, seed) => damage(seed, synchronous, loss)));
}

describe("a torn log is recovered", () => {
  test("with synchronous=FULL, no committed transaction is lost to a power loss and none is half there", () => {
    expect(damages("FULL", "power", 300)).toEqual(new Set([null]));
  });

  test("with synchronous=NORMAL, a power loss undoes some that were committed and damages nothing", () => {
    expect(damages("NORMAL", "power")).toEqual(new Set([null, "lost"]));
  });

  test("with synchronous=OFF, a power loss loses some and damages the file", () => {
    expect(damages("OFF", "power")).toEqual(new Set([null, "lost", "damaged"]));
  });

  test("with synchronous=OFF, a process that is killed loses nothing", () => {
    expect(damages("OFF", "process")).toEqual(new Set([null]));
  });
});

describe("what node:sqlite does, its stand-in does", () => {
  type Db = DatabaseSync | node.DatabaseSync;

  /** What is answered, or what of the error can be told apart. */
  function told(work: () => unknown): unknown {
    try {
      return work();
    } catch (error) {
      const { name, message, code, errcode, errstr } = error as Record<string, unknown>;
      return { name, message, code, errcode, errstr };
    }
  }

  const calls: Record<string, (db: Db) => unknown> = {
    "values of all types": (db) =>
      db.prepare("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e").get(null, 1.5, "ä€😀", new Uint8Array([1, 0, 2]), 7n),
    "empty ones": (db) => db.prepare("SELECT typeof(?) AS a, ? AS b, typeof(?) AS c").get("", "", new Uint8Array(0)),
    "numbers are real": (db) => db.prepare("SELECT typeof(?) AS a").get(1),
    "long texts": (db) => db.prepare("SELECT ? AS a").get("ü".repeat(100_000)),
    "all rows": (db) => db.prepare("SELECT * FROM t ORDER BY id").all(),
    "no row": (db) => db.prepare("SELECT * FROM t WHERE id = 99").get(),
    "a change": (db) => db.prepare("INSERT INTO t (x) VALUES (?)").run("new"),
    "a change that changes nothing": (db) => db.prepare("DELETE FROM t WHERE id = 99").run(),
    "rows that a change returns": (db) => db.prepare("DELETE FROM t WHERE id = 1 RETURNING x").get(),
    "names with and without a sign": (db) => db.prepare("SELECT $a AS a, :b AS b").get({ $a: 1, b: 2 }),
    "numbered parameters": (db) => db.prepare("SELECT ?2 AS a, ?1 AS b, ?2 AS c").get("one", "two"),
    "names and values": (db) => db.prepare("SELECT $a AS a, ? AS b").get({ $a: 1 }, 2),
    "values are forgotten": (db) => {
      const statement = db.prepare("SELECT ? AS a");
      return [statement.get(1), statement.get()];
    },
    arrays: (db) => {
      const statement = db.prepare("SELECT id, x FROM t");
      statement.setReturnArrays(true);
      return [statement.get(), statement.all()];
    },
    "columns that come later": (db) => {
      const statement = db.prepare("SELECT * FROM t WHERE id = 2");
      const before = statement.get();
      db.exec("ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 3");
      return [before, statement.get()];
    },
    "a transaction": (db) => {
      const seen = [db.isTransaction];
      db.exec("BEGIN; INSERT INTO t (x) VALUES ('undone')");
      seen.push(db.isTransaction);
      db.exec("ROLLBACK");
      return [...seen, db.isTransaction, db.prepare("SELECT count(*) AS n FROM t").get()];
    },
    pragmas: (db) =>
      ["page_size", "foreign_keys", "synchronous", "busy_timeout", "user_version"].map((name) =>
        db.prepare(`PRAGMA ${name}`).get(),
      ),
    "journals cannot be turned off": (db) => [
      db.exec("PRAGMA journal_mode = OFF"),
      db.prepare("PRAGMA journal_mode").get(),
    ],
    "a constraint": (db) => db.prepare("INSERT INTO t VALUES (1, 'again')").run(),
    "a type": (db) => db.prepare("INSERT INTO t VALUES ('no number', 'x')").run(),
    "a fault of the syntax": (db) => db.prepare("SELEKT 1"),
    "a missing table": (db) => db.exec("SELECT * FROM missing"),
    "an unknown name": (db) => db.prepare("SELECT $a").get({ $b: 1 }),
    "too many values": (db) => db.prepare("SELECT ?").get(1, 2),
    "nothing at all": (db) => db.prepare("SELECT ? AS a").get(undefined as unknown as null),
    "a truth": (db) => db.prepare("SELECT ? AS a").get(true as unknown as null),
    "a value of no type": (db) => db.prepare("SELECT ?").get(Symbol("none") as unknown as null),
    "a number beyond those of JavaScript": (db) => db.prepare("SELECT 9007199254740993 AS a").get(),
    "a connection that is closed": (db) => [db.close(), db.exec("SELECT 1")],
    "one closed twice": (db) => [db.close(), db.close()],
  };

  test.for(Object.entries(calls))("%s", ([, call]) => {
    start();
    using directory = mkdtempDisposableSync(join(tmpdir(), "inferq-sqlite-"));
    const databases = [new node.DatabaseSync(join(directory.path, "x.db")), new DatabaseSync(PATH)];
    const [real, simulated] = databases.map((db: Db) => {
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT NOT NULL) STRICT");
      db.exec("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
      return told(() => call(db));
    });
    expect(simulated).toEqual(real);
  });

  test("a file that cannot be opened", () => {
    start();
    const [real, simulated] = [node.DatabaseSync, DatabaseSync].map((Db) => told(() => new Db("/none/x.db")));
    expect(simulated).toEqual(real);
  });
});

describe("thousands of schedules in one process", () => {
  /** Seed → what is on the disk at its end. */
  function schedule(seed: number): string {
    const machine = start(seed);
    commitUntilDeath(machine, "FULL");
    machine.disk.powerLoss();
    nextProcess(machine);
    openLog("FULL").exec("INSERT INTO rows VALUES (1, 1, '')");
    const hash = createHash("sha256");
    for (const [path, bytes] of machine.disk.tree("/")) hash.update(path).update(bytes ?? "");
    machine.disk.release();
    return hash.digest("hex");
  }

  test("the same seed writes the same bytes, whatever came before it", () => {
    const [first, other, again] = [3, 1, 3].map(schedule);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test("leave nothing behind in memory", () => {
    for (let seed = 0; seed < 20; seed++) schedule(seed);
    const before = wasm.heap8u().length;
    for (let seed = 20; seed < 220; seed++) schedule(seed);
    expect(wasm.heap8u().length).toBe(before);
  });
});

describe("locks and shared memory", () => {
  test.for(["WAL", "DELETE"])("a second writer is told at once that the first writes (%s)", (mode) => {
    start();
    const first = new DatabaseSync(PATH);
    const second = new DatabaseSync(PATH, { timeout: 5_000 });
    first.exec(`PRAGMA journal_mode = ${mode}; BEGIN IMMEDIATE`);
    expect(() => second.exec("BEGIN IMMEDIATE")).toThrow(expect.objectContaining({ errcode: 5 }));
    first.exec("COMMIT");
    second.exec("BEGIN IMMEDIATE; COMMIT");
  });

  test("readers see what is committed while others write, and cannot write themselves", () => {
    start();
    const writer = openLog("FULL");
    const reader = new DatabaseSync(PATH, { readOnly: true });
    const count = reader.prepare("SELECT count(*) AS n FROM rows");
    writer.exec("BEGIN IMMEDIATE; INSERT INTO rows VALUES (1, 1, '')");
    expect(count.get()).toEqual({ n: 0 });
    writer.exec("COMMIT");
    expect(count.get()).toEqual({ n: 1 });
    expect(() => reader.exec("DELETE FROM rows")).toThrow(expect.objectContaining({ errcode: 8 }));
  });

  test("the last one that closes leaves the database alone", () => {
    const { disk } = start();
    const [first, second] = [openLog("FULL"), openLog("FULL")];
    first.close();
    expect(disk.readdir("/data")).toEqual(["x.db", "x.db-wal"]);
    second.close();
    expect(disk.readdir("/data")).toEqual(["x.db"]);
  });

  test("a process that dies frees its locks, and what it had not committed is undone", () => {
    const machine = start();
    const other = new Process("other");
    const beside = machine.as(other, () => openLog("FULL"));
    const dying = openLog("FULL");
    dying.exec("BEGIN EXCLUSIVE; INSERT INTO rows VALUES (1, 1, '')");
    machine.current.isAlive = false;
    machine.as(other, () => {
      beside.exec("BEGIN IMMEDIATE; INSERT INTO rows VALUES (2, 1, ''); COMMIT");
      expect(beside.prepare("SELECT number FROM rows").all()).toEqual([{ number: 2 }]);
    });
    expect(() => dying.exec("COMMIT")).toThrow("The process first has died.");
  });

  test("a process that died changes nothing any more, whatever of it still runs", () => {
    const machine = start();
    const db = openLog("FULL");
    dieAt(machine, 1);
    expect(() => db.exec("INSERT INTO rows VALUES (1, 1, '')")).toThrow(Died);
    const { operations } = machine.disk;
    for (const call of [() => db.exec("SELECT 1"), () => db.close(), () => new DatabaseSync(PATH)]) {
      expect(call).toThrow(/died/);
    }
    nextProcess(machine);
    openLog("FULL").close();
    expect(operations).toBeLessThan(machine.disk.operations);
  });

  test("a journal's name is durable before anything relies on it", () => {
    const machine = start();
    const fsyncs: string[] = [];
    machine.disk.before = ({ name, path }) => {
      if (name === "fsync") fsyncs.push(path);
    };
    const db = new DatabaseSync(PATH);
    db.exec("PRAGMA journal_mode = DELETE; CREATE TABLE a (x)");
    expect(fsyncs).toEqual(["/data/x.db-journal", "/data", "/data/x.db-journal", "/data/x.db"]);
    db.exec("PRAGMA journal_mode = WAL");
    fsyncs.length = 0;
    db.exec("INSERT INTO a VALUES (1)");
    expect(fsyncs).toEqual(["/data/x.db-wal", "/data", "/data/x.db-wal"]);
  });
});

describe("a disk that fails", () => {
  const faults: [code: string, name: string, errcode: number][] = [
    ["ENOSPC", "write", 13],
    ["EIO", "write", 778],
    ["EIO", "fsync", 1034],
    ["EROFS", "open", 14],
  ];
  test.for(faults)(
    "%s of %s is told as SQLite tells it, and the connection after it is sound",
    ([code, name, errcode]) => {
      const { disk } = start();
      const db = openLog("FULL");
      db.exec("INSERT INTO rows VALUES (1, 1, '')");
      disk.before = (operation) => {
        if (operation.name === name) throw fault(code, operation);
      };
      const work =
        name === "open" ? () => new DatabaseSync("/data/new.db") : () => db.exec("INSERT INTO rows VALUES (2, 1, '')");
      expect(work).toThrow(expect.objectContaining({ errcode }));
      disk.before = null;
      db.close();
      expect(openLog("FULL").prepare("SELECT number FROM rows WHERE number = 1").get()).toEqual({ number: 1 });
    },
  );
});
