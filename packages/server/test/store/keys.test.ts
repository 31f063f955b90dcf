import { execFile } from "node:child_process";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { type ApiKey, PLAIN_KEY } from "../../src/store/keys.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { directory } from "./directory.ts";

const KEYS = fileURLToPath(new URL("../../src/store/sqlite/keys.ts", import.meta.url));

const clock = manualClock();
const key: ApiKey = { ...PLAIN_KEY, name: "laptop", owner: "alice", hash: "a".repeat(64), createdAt: 1 };

it("sees a key that another process has just added", () => {
  const path = directory();
  using server = sqliteKeys(path, clock);
  using cli = sqliteKeys(path, clock);
  expect(server.find(key.hash)).toBeUndefined();
  cli.add(key, "cli");
  cli.add({ ...key, name: "phone", hash: "b".repeat(64), scopes: ["submit", "read", "admin"], createdAt: 2 }, "cli");
  expect(server.find(key.hash)).toBeUndefined();
  server.refresh();
  expect(server.find(key.hash)).toMatchObject({ key, until: Infinity });
  expect(server.list().map(({ name, scopes }) => [name, scopes.includes("admin")])).toEqual([["laptop", false], ["phone", true]]); // prettier-ignore
});

it("refuses a second key of the same name, and keeps the first", () => {
  using keys = sqliteKeys(directory(), clock);
  keys.add(key, "cli");
  expect(() => keys.add({ ...key, hash: "c".repeat(64) }, "cli")).toThrow("There is a key named laptop already.");
  expect(keys.list()).toMatchObject([key]);
});

it("leaves a file of a newer version alone, in one sentence", () => {
  const path = directory();
  {
    using keys = sqliteKeys(path, clock);
    keys.add(key, "cli");
  }
  const file = join(path, "keys.db");
  const db = new DatabaseSync(file);
  expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: 3 });
  db.exec("PRAGMA user_version = 4");
  db.close();
  expect(() => sqliteKeys(path, clock)).toThrow(
    `${file} was written by a newer inferq (schema 4; this one knows 3). Start`,
  );
});

it("makes the secret of the ids with the file, and keeps it", () => {
  const path = directory();
  using first = sqliteKeys(path, clock);
  using second = sqliteKeys(path, clock);
  using other = sqliteKeys(directory(), clock);
  expect(first.idSecret).toMatch(/^[0-9a-f]{32}$/);
  expect(second.idSecret).toBe(first.idSecret);
  expect(other.idSecret).not.toBe(first.idSecret);
});

it("gives a file of before the secret one, and keeps its keys", () => {
  const path = directory();
  const db = new DatabaseSync(join(path, "keys.db"));
  db.exec(
    `CREATE TABLE keys (name TEXT PRIMARY KEY, owner TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, admin INTEGER NOT NULL,
      created_at REAL NOT NULL) STRICT;
    INSERT INTO keys VALUES ('laptop', 'alice', '${key.hash}', 0, 1);
    PRAGMA user_version = 1`,
  );
  db.close();
  using keys = sqliteKeys(path, clock);
  expect(keys.list()).toMatchObject([key]);
  expect(keys.idSecret).toMatch(/^[0-9a-f]{32}$/);
});

it("gives all processes that open a new file at once the same secret", async () => {
  const path = directory();
  const open = `import { sqliteKeys } from ${JSON.stringify(KEYS)}; console.log(sqliteKeys(${JSON.stringify(path)}, Date).idSecret)`;
  const args = ["--conditions=@inferq/source", "--input-type=module-typescript", "--eval", open];
  const processes = Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, args));
  const secrets = (await Promise.all(processes)).map(({ stdout }) => stdout);
  expect(secrets[0]).toMatch(/^[0-9a-f]{32}\n$/);
  expect(new Set(secrets).size).toBe(1);
});
