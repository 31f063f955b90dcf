import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { directory } from "./directory.ts";

const key = { name: "laptop", owner: "alice", hash: "a".repeat(64), admin: false, createdAt: 1 };

it("sees a key that another process has just added", () => {
  const path = directory();
  using server = sqliteKeys(path);
  using cli = sqliteKeys(path);
  expect(server.find(key.hash)).toBeUndefined();
  cli.add(key);
  cli.add({ ...key, name: "phone", hash: "b".repeat(64), admin: true, createdAt: 2 });
  expect(server.find(key.hash)).toEqual(key);
  expect(server.list().map(({ name, admin }) => [name, admin])).toEqual([["laptop", false], ["phone", true]]); // prettier-ignore
});

it("refuses a second key of the same name, and keeps the first", () => {
  using keys = sqliteKeys(directory());
  keys.add(key);
  expect(() => keys.add({ ...key, hash: "c".repeat(64) })).toThrow("There is a key named laptop already.");
  expect(keys.list()).toEqual([key]);
});

it("leaves a file of a newer version alone, in one sentence", () => {
  const path = directory();
  {
    using keys = sqliteKeys(path);
    keys.add(key);
  }
  const file = join(path, "keys.db");
  const db = new DatabaseSync(file);
  expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
  db.exec("PRAGMA user_version = 2");
  db.close();
  expect(() => sqliteKeys(path)).toThrow(`${file} was written by a newer inferq (schema 2; this one knows 1). Start`);
});
