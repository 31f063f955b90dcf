import { DatabaseSync } from "node:sqlite";
import { inTransaction } from "./transaction.ts";

/**
 * One entry for each version of the schema, never edited once released; `user_version` counts
 * those that a file has had.
 *
 * `requests` holds the state and what is needed to find and order requests: small rows, for a
 * lease and a settle each rewrite one. What is written once lies in `inputs` and `results`, which
 * grow at their end only. Times are milliseconds since the epoch.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('clean_stop', 1);

  CREATE TABLE inputs (
    number INTEGER PRIMARY KEY,
    json TEXT,
    key TEXT,
    idempotency_digest TEXT,
    webhook TEXT,
    public_base TEXT
  ) STRICT;

  CREATE TABLE results (number INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;

  CREATE TABLE requests (
    id BLOB PRIMARY KEY,
    status INTEGER NOT NULL,          -- 0 QUEUED, 1 PROCESSING, 2 COMPLETED, 3 FAILED
    model TEXT NOT NULL,
    owner TEXT NOT NULL,
    priority INTEGER NOT NULL,
    files INTEGER NOT NULL,           -- bit 0: input files, bit 1: artifacts
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    not_before REAL NOT NULL,         -- of the next lease: a retry moves it
    start_deadline REAL,
    leases INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    lease_token TEXT,
    lease_worker TEXT,
    lease_deadline REAL,
    started_at REAL,
    finished_at REAL,
    inference_ms REAL,
    failure_code TEXT,
    failure_message TEXT,
    input INTEGER NOT NULL,
    result INTEGER,
    idempotency_key TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX requests_by_expiry ON requests (expires_at);
  CREATE INDEX requests_by_start_deadline ON requests (start_deadline)
    WHERE start_deadline IS NOT NULL AND status = 0 AND leases = 0;
  CREATE INDEX requests_by_idempotency_key ON requests (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
  `,
  `
  ALTER TABLE inputs ADD COLUMN run_timeout_ms REAL;
  ALTER TABLE inputs ADD COLUMN keep_ms REAL;
  ALTER TABLE inputs ADD COLUMN retry_of TEXT;

  -- Attempts that ended without an outcome; most requests have none.
  CREATE TABLE past_attempts (
    input INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    worker TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    failure_code TEXT,
    failure_message TEXT,
    PRIMARY KEY (input, attempt)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE requests ADD COLUMN api_key TEXT NOT NULL DEFAULT '';         -- name of the key that it came with
  ALTER TABLE requests ADD COLUMN webhook INTEGER NOT NULL DEFAULT 0;   -- 1: its outcome is told, as inputs.webhook says

  -- What is told of an outcome; it may outlive the request, and shares its row of results.
  CREATE TABLE deliveries (
    id BLOB PRIMARY KEY,              -- the request's
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    state INTEGER NOT NULL,           -- 0 pending, 1 delivered, 2 given up
    asked_at REAL NOT NULL,           -- made, or asked for again
    due_at REAL NOT NULL,             -- of the next try, while pending
    tries INTEGER NOT NULL,
    attempts TEXT NOT NULL,           -- JSON: the latest tries
    url TEXT NOT NULL,
    body TEXT NOT NULL,               -- full or thin
    base TEXT NOT NULL,
    model TEXT NOT NULL,              -- from here on as the request was when it ended
    status INTEGER NOT NULL,
    submitted_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL NOT NULL,
    inference_ms REAL,
    failure_code TEXT,
    failure_message TEXT,
    result INTEGER
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX deliveries_by_host ON deliveries (host, due_at) WHERE state = 0;
  CREATE INDEX deliveries_by_asked ON deliveries (state, asked_at) WHERE state <> 1;
  CREATE INDEX deliveries_by_owner ON deliveries (owner, state);
  `,
  `
  ALTER TABLE requests ADD COLUMN dead_letter INTEGER NOT NULL DEFAULT 0;   -- 1 open, 2 replayed
  -- Before there was the column, these codes said that the tries were used up; the last of them nearly always.
  UPDATE requests SET dead_letter = 1
    WHERE status = 3 AND failure_code IN ('runner_crashed', 'lease_lost', 'retries_exhausted', 'internal');
  -- Has all that they are asked for by, so that those of others are passed by without a look at their rows.
  CREATE INDEX dead_letters ON requests (id, owner, model, dead_letter) WHERE dead_letter > 0;
  `,
];

/** Four times SQLite's own: a batch touches fewer pages, and writing them is most of what a commit costs. */
const PAGE_BYTES = 16_384;

/** The write-ahead log's size before it is copied into the database: a page written often is copied once. */
const CHECKPOINT_BYTES = 16 * 2 ** 20;

/** How long another program that writes into the file is waited for: a backup that copies the log, a person who looks around. */
const BUSY_MS = 2_000;

/** Opens the one connection that writes, and brings the schema up to date. */
export function openForWriting(path: string, migrations: readonly string[] = MIGRATIONS): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    // Must come before the first table; without it a file never shrinks.
    db.exec("PRAGMA auto_vacuum = INCREMENTAL");
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL");
    db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_BYTES / PAGE_BYTES}`);
    db.exec(`PRAGMA journal_size_limit = ${CHECKPOINT_BYTES * 2}`);
    db.exec("PRAGMA cache_size = -16384");
    migrate(db, path, migrations);
    emptyLog(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Copies into the database what the log has, and lets the log begin anew. At an opening it may end with a commit whose fsync
 * failed: that is read as if it were there, and the system never writes it, so that a power loss would end the
 * log in front of it and of everything that is written behind it.
 */
export function emptyLog(db: DatabaseSync): void {
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

/** Runs those of `migrations` that the file at `path` has not had; other processes may do the same. Throws one sentence where it was written by a newer version. */
export function migrate(db: DatabaseSync, path: string, migrations: readonly string[]): void {
  for (;;) {
    const version = versionOf(db);
    if (version === migrations.length) return;
    if (version > migrations.length) {
      throw new Error(
        `${path} was written by a newer inferq (schema ${version}; this one knows ${migrations.length}). ` +
          "Start the newer version, or use another data directory.",
      );
    }
    inTransaction(db, () => {
      // Another process may have been first.
      if (versionOf(db) === version) db.exec(`${migrations[version]}; PRAGMA user_version = ${version + 1}`);
    });
  }
}

function versionOf(db: DatabaseSync): number {
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}
