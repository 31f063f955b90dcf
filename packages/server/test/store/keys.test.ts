import { execFile } from "node:child_process";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { type ApiKey, type FoundKey, type KeyChange, type KeyStore, PLAIN_KEY } from "../../src/store/keys.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { directory } from "./directory.ts";

const KEYS = fileURLToPath(new URL("../../src/store/sqlite/keys.ts", import.meta.url));
const HOUR_MS = 3_600_000;

const clock = manualClock();
const key: ApiKey = { ...PLAIN_KEY, name: "laptop", owner: "alice", hash: "a".repeat(64), createdAt: 1 };
const full: ApiKey = {
  name: "phone",
  owner: "bob",
  hash: "b".repeat(64),
  scopes: ["read", "admin"],
  models: ["ocr", "emoji-scene"],
  requestsPerSecond: 0.5,
  requestsInFlight: 3,
  createdAt: 2,
  expiresAt: clock.now() + HOUR_MS,
};

/** Whether the secret with this hash is good now. */
function isGood(keys: KeyStore, hash: string): boolean {
  const found = keys.find(hash);
  return found !== undefined && found.until > clock.now();
}

it("keeps what a key may do, and until when", () => {
  const path = directory();
  {
    using keys = sqliteKeys(path, clock);
    keys.add(key, "cli");
    keys.add(full, "cli");
  }
  using keys = sqliteKeys(path, clock);
  expect(keys.list()).toEqual([key, full].map((one) => ({ ...one, revokedAt: null, firstUsedAt: null, overlapEndsAt: null }))); // prettier-ignore
  expect(keys.find(key.hash)).toEqual({ key, hash: key.hash, until: Infinity, ends: "expired" } satisfies FoundKey);
  expect(keys.find(full.hash)).toMatchObject({ key: full, until: full.expiresAt });
  expect(keys.find("c".repeat(64))).toBeUndefined();
});

it("sees at its next look what another process has changed, and tells whoever remembers keys", () => {
  const path = directory();
  using server = sqliteKeys(path, clock);
  using cli = sqliteKeys(path, clock);
  let changes = 0;
  server.onChange(() => changes++);
  cli.add(key, "cli");
  server.refresh();
  expect([isGood(server, key.hash), changes]).toEqual([true, 1]);
  server.refresh();
  expect(changes).toBe(1); // nothing was changed since
  cli.revoke(key.name, "cli");
  server.refresh();
  expect([isGood(server, key.hash), changes]).toEqual([false, 2]);
});

it("refuses a second key of the same name, and keeps the first", () => {
  using keys = sqliteKeys(directory(), clock);
  keys.add(key, "cli");
  const changes: unknown[] = [];
  keys.onChange(() => changes.push("changed"));
  expect(() => keys.add({ ...key, hash: "c".repeat(64) }, "cli")).toThrow("There is a key named laptop already.");
  expect(keys.list()).toMatchObject([key]);
  expect(changes).toEqual([]);
});

it("ends a revoked key for good: it is not rotated, and its name is not given again", () => {
  const path = directory();
  using keys = sqliteKeys(path, clock);
  keys.add(key, "cli");
  expect(keys.revoke(key.name, "cli")).toMatchObject({ name: key.name, revokedAt: clock.now() });
  expect(keys.find(key.hash)).toMatchObject({ until: 0, ends: "revoked" });
  expect(() => keys.revoke(key.name, "cli")).toThrow("The key laptop is revoked already.");
  expect(() => keys.rotate(key.name, "c".repeat(64), 0, "cli")).toThrow("The key laptop is revoked already.");
  expect(() => keys.add({ ...key, hash: "c".repeat(64) }, "cli")).toThrow("There was a key named laptop, which is revoked."); // prettier-ignore
  expect(() => keys.revoke("nobody", "cli")).toThrow("There is no key named nobody.");
  using again = sqliteKeys(path, clock);
  expect(isGood(again, key.hash)).toBe(false);
});

it("rotates: the secret before works until the overlap ends, and what was before that no longer either", () => {
  const path = directory();
  using keys = sqliteKeys(path, clock);
  keys.add(key, "cli");
  const [first, second, third, fourth] = [key.hash, "b".repeat(64), "c".repeat(64), "d".repeat(64)] as const;
  const good = (store: KeyStore): boolean[] => [first, second, third, fourth].map((hash) => isGood(store, hash));

  const rotated = keys.rotate(key.name, second, 2 * HOUR_MS, "cli");
  expect(rotated).toMatchObject({ name: key.name, owner: key.owner, overlapEndsAt: clock.now() + 2 * HOUR_MS });
  expect(good(keys)).toEqual([true, true, false, false]);
  keys.rotate(key.name, third, HOUR_MS, "cli");
  expect(good(keys)).toEqual([true, true, true, false]);
  clock.advance(HOUR_MS - 1);
  expect(good(keys)).toEqual([true, true, true, false]);
  clock.advance(1);
  expect(good(keys)).toEqual([false, false, true, false]);
  expect(keys.find(first)).toMatchObject({ ends: "rotated" });
  expect(keys.list()).toMatchObject([{ overlapEndsAt: null }]);

  keys.rotate(key.name, fourth, 0, "cli");
  using again = sqliteKeys(path, clock);
  expect([good(keys), good(again)]).toEqual([[false, false, false, true], [false, false, false, true]]); // prettier-ignore
  keys.revoke(key.name, "cli");
  expect(good(keys)).toEqual([false, false, false, false]);
});

it("gives a key that has expired no new secret, and ends an overlap with the key", () => {
  using keys = sqliteKeys(directory(), clock);
  const expiresAt = clock.now() + HOUR_MS;
  keys.add({ ...key, expiresAt }, "cli");
  keys.rotate(key.name, "b".repeat(64), 9 * HOUR_MS, "cli");
  expect(keys.find(key.hash)).toMatchObject({ until: expiresAt, ends: "expired" });
  clock.advance(HOUR_MS);
  expect(() => keys.rotate(key.name, "c".repeat(64), 0, "cli")).toThrow("The key laptop has expired.");
});

it("tells each change once, those from before the start too", () => {
  const path = directory();
  using server = sqliteKeys(path, clock);
  using cli = sqliteKeys(path, clock);
  const told: KeyChange[] = [];
  server.onChange(() => server.tellChanges((change) => told.push(change)));
  cli.add(key, "cli");
  server.refresh();
  server.add(full, "socket");
  server.rotate(key.name, "c".repeat(64), 0, "socket");
  server.revoke(key.name, "socket");
  const about = { key: "laptop", owner: "alice", at: clock.now() };
  expect(told).toEqual([
    { ...about, audit: "key_created", by: "cli" },
    { ...about, key: "phone", owner: "bob", audit: "key_created", by: "socket" },
    { ...about, audit: "key_rotated", by: "socket" },
    { ...about, audit: "key_revoked", by: "socket" },
  ]);
  cli.revoke("phone", "cli");
  using later = sqliteKeys(path, clock);
  later.tellChanges((change) => told.push(change));
  later.tellChanges((change) => told.push(change));
  expect(told.slice(4)).toMatchObject([{ audit: "key_revoked", key: "phone" }]);
});

it("knows for ever that a secret has been used, and that a new one has not", () => {
  const path = directory();
  {
    using keys = sqliteKeys(path, clock);
    keys.add(key, "cli");
    expect([keys.isFirstUse(key.hash), keys.isFirstUse(key.hash)]).toEqual([true, false]);
    keys.refresh();
  }
  using keys = sqliteKeys(path, clock);
  expect(keys.isFirstUse(key.hash)).toBe(false);
  expect(keys.list()).toMatchObject([{ firstUsedAt: clock.now() }]);
  keys.rotate(key.name, "b".repeat(64), 0, "cli");
  expect(keys.isFirstUse("b".repeat(64))).toBe(true);
});

it("marks a first use later while another process writes", () => {
  const path = directory();
  using keys = sqliteKeys(path, clock);
  keys.add(key, "cli");
  const other = new DatabaseSync(join(path, "keys.db"));
  other.exec("BEGIN IMMEDIATE");
  expect(keys.isFirstUse(key.hash)).toBe(true);
  keys.refresh();
  other.exec("COMMIT");
  keys.refresh();
  const marks = other.prepare("SELECT hash FROM first_uses").all();
  other.close();
  expect(marks).toEqual([{ hash: key.hash }]);
});

it("makes the secret of an owner's webhooks with its first key, or when it is asked for", () => {
  const path = directory();
  using keys = sqliteKeys(path, clock);
  keys.add(key, "cli");
  const db = new DatabaseSync(join(path, "keys.db"));
  const [made] = db.prepare("SELECT owner, secret FROM webhook_secrets").all() as { owner: string; secret: string }[];
  db.close();
  expect(made).toMatchObject({ owner: "alice", secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) as string });
  keys.add({ ...key, name: "tablet", hash: "c".repeat(64) }, "cli");
  expect(keys.secretsOf("alice")).toEqual([{ secret: made!.secret, createdAt: clock.now(), expiresAt: null }]);

  const ofEnvironment = keys.secretsOf("ci");
  expect(ofEnvironment).toHaveLength(1);
  using other = sqliteKeys(path, clock);
  expect(other.secretsOf("ci")).toEqual(ofEnvironment);
});

it("rotates the secret of webhooks with an overlap", () => {
  const path = directory();
  using keys = sqliteKeys(path, clock);
  const [first] = keys.secretsOf("alice");
  const second = keys.rotateSecret("alice", HOUR_MS);
  expect(keys.secretsOf("alice")).toEqual([second, { ...first, expiresAt: clock.now() + HOUR_MS }]);
  using again = sqliteKeys(path, clock);
  expect(again.secretsOf("alice")).toEqual(keys.secretsOf("alice"));
  clock.advance(HOUR_MS);
  expect(keys.secretsOf("alice")).toEqual([second]);
  const third = keys.rotateSecret("alice", 0);
  expect([keys.secretsOf("alice"), third.secret === second.secret]).toEqual([[third], false]);
  // However often that is done in the overlap, as many sign as fit into a header.
  const made = [third];
  for (let rotations = 0; rotations < 10; rotations += 1) made.unshift(keys.rotateSecret("alice", HOUR_MS));
  expect(keys.secretsOf("alice").map(({ secret }) => secret)).toEqual(made.slice(0, 5).map(({ secret }) => secret));
});

it("is its user's alone, with its log, also where it was not before", () => {
  const path = directory();
  const modes = (): string[] =>
    ["keys.db", "keys.db-wal", "keys.db-shm"].map((name) => (statSync(join(path, name)).mode & 0o777).toString(8));
  {
    using keys = sqliteKeys(path, clock);
    keys.add(key, "cli");
    expect(modes()).toEqual(["600", "600", "600"]);
    chmodSync(join(path, "keys.db"), 0o644);
    chmodSync(join(path, "keys.db-wal"), 0o644);
    using other = sqliteKeys(path, clock);
    expect([modes(), other.list()]).toMatchObject([["600", "600", "600"], [key]]);
  }
  chmodSync(join(path, "keys.db"), 0o644);
  using keys = sqliteKeys(path, clock);
  keys.revoke(key.name, "cli");
  expect(modes()).toEqual(["600", "600", "600"]);
});

it("finds one of ten thousand keys without a look at the file", () => {
  const path = directory();
  sqliteKeys(path, clock)[Symbol.dispose]();
  const db = new DatabaseSync(join(path, "keys.db"));
  const insert = db.prepare("INSERT INTO keys (name, owner, hash, created_at) VALUES (?, ?, ?, ?)");
  const hashOf = (i: number): string => i.toString(16).padStart(64, "0");
  db.exec("BEGIN");
  for (let i = 0; i < 10_000; i++) insert.run(`key-${i}`, `owner-${i % 100}`, hashOf(i), i);
  db.exec("COMMIT");
  using keys = sqliteKeys(path, clock);
  db.exec("DROP TABLE keys"); // whoever read it now would fail
  db.close();
  for (let i = 0; i < 10_000; i++) expect(keys.find(hashOf(i))!.key.name).toBe(`key-${i}`);
  expect(keys.list()).toHaveLength(10_000);
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

it.each([1, 2])("goes on with a file of schema %i: its keys get their scopes, and what it lacks", (version) => {
  const path = directory();
  const db = new DatabaseSync(join(path, "keys.db"));
  db.exec(
    `CREATE TABLE keys (name TEXT PRIMARY KEY, owner TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, admin INTEGER NOT NULL,
      created_at REAL NOT NULL) STRICT;
    INSERT INTO keys VALUES ('laptop', 'alice', '${key.hash}', 0, 1), ('root', 'alice', '${"b".repeat(64)}', 1, 2);
    PRAGMA user_version = ${version}`,
  );
  if (version === 2) {
    db.exec("CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
    db.exec(`INSERT INTO secrets VALUES ('ids', '${"5".repeat(32)}')`);
  }
  db.close();
  using keys = sqliteKeys(path, clock);
  expect(keys.list()).toMatchObject([key, { name: "root", scopes: ["submit", "read", "admin"] }]);
  expect(keys.idSecret).toMatch(version === 2 ? /^5{32}$/ : /^[0-9a-f]{32}$/);
  expect(keys.secretsOf("alice")).toHaveLength(1);
});

it.each([0, 2])("is opened by many processes at once, be it new or of schema %i", async (version) => {
  const path = directory();
  if (version === 2) {
    const db = new DatabaseSync(join(path, "keys.db"));
    db.exec(
      `CREATE TABLE keys (name TEXT PRIMARY KEY, owner TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, admin INTEGER NOT NULL,
        created_at REAL NOT NULL) STRICT;
      CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
      PRAGMA user_version = 2`,
    );
    db.close();
  }
  const open = `import { sqliteKeys } from ${JSON.stringify(KEYS)};
    const keys = sqliteKeys(${JSON.stringify(path)}, Date);
    console.log(keys.idSecret, keys.secretsOf("alice")[0].secret)`;
  const args = ["--conditions=@inferq/source", "--input-type=module-typescript", "--eval", open];
  const processes = Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, args));
  const secrets = (await Promise.all(processes)).map(({ stdout }) => stdout);
  expect(secrets[0]).toMatch(/^[0-9a-f]{32} whsec_\S{44}\n$/);
  expect(new Set(secrets).size).toBe(1);
});
