import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { randomToken } from "../../core/ids.ts";
import { PLAIN_KEY, type ApiKey, type KeyStore, type Scope } from "../keys.ts";
import { migrate } from "./schema.ts";

/** As those of the queue's file. Two processes may open a new file at once, so each may run twice, and the first after the last. */
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
];

const SQLITE_BUSY = 5;

interface Row {
  readonly name: string;
  readonly owner: string;
  readonly hash: string;
  readonly admin: number;
  readonly created_at: number;
}

/**
 * The keys in `directory`, which must exist. A file of their own, and not locked: the CLI adds a key
 * beside a running server, which sees it at its next look-up.
 */
export function sqliteKeys(directory: string): KeyStore {
  const db = open(join(directory, "keys.db"));
  const insert = db.prepare("INSERT INTO keys (name, owner, hash, admin, created_at) VALUES (?, ?, ?, ?, ?)");
  const byName = db.prepare("SELECT 1 FROM keys WHERE name = ?");
  const byHash = db.prepare("SELECT * FROM keys WHERE hash = ?");
  const all = db.prepare("SELECT * FROM keys ORDER BY created_at, name");

  return {
    idSecret: idSecretOf(db)!,
    add({ name, owner, hash, scopes, createdAt }: ApiKey): void {
      try {
        insert.run(name, owner, hash, scopes.includes("admin") ? 1 : 0, createdAt);
      } catch (error) {
        if (byName.get(name) === undefined) throw error;
        throw new Error(`There is a key named ${name} already. Choose another name.`, { cause: error });
      }
    },
    find(hash: string): ApiKey | undefined {
      const row = byHash.get(hash) as unknown as Row | undefined;
      return row && toKey(row);
    },
    list(): ApiKey[] {
      return (all.all() as unknown as Row[]).map(toKey);
    },
    [Symbol.dispose](): void {
      db.close();
    },
  };
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5_000 });
  try {
    turnLogOn(db);
    db.exec("PRAGMA synchronous = FULL");
    migrate(db, path, MIGRATIONS);
    // Of several processes that come here at once all go on with the secret of the first.
    if (idSecretOf(db) === undefined) {
      db.prepare("INSERT OR IGNORE INTO secrets VALUES ('ids', ?)").run(randomToken());
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
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

function idSecretOf(db: DatabaseSync): string | undefined {
  const row = db.prepare("SELECT value FROM secrets WHERE name = 'ids'").get() as { value: string } | undefined;
  return row?.value;
}

function toKey({ name, owner, hash, admin, created_at: createdAt }: Row): ApiKey {
  const scopes: readonly Scope[] = admin === 1 ? ["submit", "read", "admin"] : PLAIN_KEY.scopes;
  return { ...PLAIN_KEY, name, owner, hash, scopes, createdAt };
}
