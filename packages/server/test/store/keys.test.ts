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
