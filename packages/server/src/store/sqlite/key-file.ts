/** The file of the keys: how it is opened, and what is in it. */
import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { randomToken } from "../../core/ids.ts";
import { emptyLog, migrate } from "./schema.ts";

/** As those of the queue's file. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    created_at REAL NOT NULL
  ) STRICT;
  `,
  "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
  `
  ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'submit,read';
  UPDATE keys SET scopes = 'submit,read,admin' WHERE admin = 1;
  ALTER TABLE keys DROP COLUMN admin;
  ALTER TABLE keys ADD COLUMN models TEXT;                -- names in JSON; null: all
  ALTER TABLE keys ADD COLUMN requests_per_second REAL;
  ALTER TABLE keys ADD COLUMN requests_in_flight INTEGER;
  ALTER TABLE keys ADD COLUMN expires_at REAL;
  ALTER TABLE keys ADD COLUMN revoked_at REAL;

  -- Hashes that a key had before it was rotated.
  CREATE TABLE rotated (hash TEXT PRIMARY KEY, name TEXT NOT NULL, until REAL NOT NULL) STRICT;
  -- By hash, so that a rotated key has a first use again, and keys of the environment have theirs.
  CREATE TABLE first_uses (hash TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
  -- Changes that no server has told yet.
  CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,             -- none comes again: a server knows by it what it has told
    audit TEXT NOT NULL,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    at REAL NOT NULL,
    by TEXT NOT NULL
  ) STRICT;

  -- As they are, for they are signed with.
  CREATE TABLE webhook_secrets (
    number INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL                                       -- null: the present one
  ) STRICT;
  CREATE UNIQUE INDEX present_webhook_secrets ON webhook_secrets (owner) WHERE expires_at IS NULL;
  CREATE INDEX webhook_secrets_by_owner ON webhook_secrets (owner);
  `,
];

/** How long others that open the file are waited for, and afterwards others that write into it: a server stands still meanwhile. */
const OPENING_MS = 5_000;
const BUSY_MS = 1_000;

const SQLITE_BUSY = 5;

/** Opens the file at `path`, which is made if it is missing, and brings its schema up to date. */
export function openKeyFile(path: string): DatabaseSync {
  makePrivate(path);
  const db = new DatabaseSync(path, { timeout: OPENING_MS });
  try {
    turnLogOn(db);
    db.exec("PRAGMA synchronous = FULL");
    migrate(db, path, MIGRATIONS);
    emptyLog(db);
    // Of several processes that come here at once all go on with the secret of the first.
    if (idSecretOf(db) === undefined) {
      db.prepare("INSERT OR IGNORE INTO secrets VALUES ('ids', ?)").run(randomToken());
    }
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** For this user alone before anything secret is in it. SQLite gives the log beside it the same permissions. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, "a", 0o600));
    // One from before has those of the umask, and its log too.
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
      if ((mode & 0o077) !== 0) chmodSync(file, 0o600);
    }
  } catch (error) {
    const why = `${path} cannot be made private to this user: ${(error as Error).message}.`;
    throw new Error(`${why} Let this user own and write it, or use another data directory.`, { cause: error });
  }
}

/** SQLite waits for other processes everywhere but here, where one that turns the log on too makes it give up at once. */
function turnLogOn(db: DatabaseSync): void {
  for (let tries = 1; ; tries++) {
    try {
      return db.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      if (tries === 10 || (error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
      db.exec("BEGIN IMMEDIATE; COMMIT"); // this waits
    }
  }
}

export function idSecretOf(db: DatabaseSync): string | undefined {
  const row = db.prepare("SELECT value FROM secrets WHERE name = 'ids'").get() as { value: string } | undefined;
  return row?.value;
}
