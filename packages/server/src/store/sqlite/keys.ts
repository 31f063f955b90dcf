import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../core/clock.ts";
import type { ApiKey, ChangedBy, FoundKey, KeyChange, KeyStore, Scope, StoredKey } from "../keys.ts";
import { idSecretOf, openKeyFile } from "./key-file.ts";
import { inTransaction } from "./transaction.ts";
import { webhookSecrets } from "./webhook-secrets.ts";

interface Row {
  readonly name: string;
  readonly owner: string;
  readonly hash: string;
  readonly scopes: string;
  readonly models: string | null;
  readonly requests_per_second: number | null;
  readonly requests_in_flight: number | null;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

/** A hash that a key had before, and until when it works. */
interface Rotated {
  readonly hash: string;
  readonly until: number;
}

/** One key as it lies in memory. */
interface Kept {
  readonly key: ApiKey;
  readonly revokedAt: number | null;
  readonly rotated: readonly Rotated[];
}

/** First uses that are written at once: the event loop waits for it. */
const USES_AT_ONCE = 500;

/**
 * The keys in `directory`, which must exist. A file of their own, and not locked: the command line may change
 * them beside a server, which sees it at its next `refresh`.
 */
export function sqliteKeys(directory: string, clock: Clock): KeyStore {
  const db = openKeyFile(join(directory, "keys.db"));
  const secrets = webhookSecrets(db, clock);
  const insert = db.prepare(
    `INSERT INTO keys (name, owner, hash, scopes, models, requests_per_second, requests_in_flight, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const rowOf = db.prepare("SELECT * FROM keys WHERE name = ?");
  const rotatedOf = db.prepare("SELECT hash, until FROM rotated WHERE name = ?");
  const setRevoked = db.prepare("UPDATE keys SET revoked_at = ? WHERE name = ?");
  const setHash = db.prepare("UPDATE keys SET hash = ? WHERE name = ?");
  const shortenRotated = db.prepare("UPDATE rotated SET until = min(until, ?) WHERE name = ?");
  const addRotated = db.prepare("INSERT INTO rotated VALUES (?, ?, ?)");
  const addChange = db.prepare("INSERT INTO changes (audit, key, owner, at, by) VALUES (?, ?, ?, ?, ?)");
  const uses = firstUses(db, clock);
  const version = db.prepare("PRAGMA data_version");

  const byName = new Map<string, Kept>();
  const byHash = new Map<string, FoundKey>();
  const listeners: (() => void)[] = [];
  let seenVersion = dataVersion();
  let lastTold = 0;

  /** Changes with every commit of another connection, and never with one of this one. */
  function dataVersion(): number {
    return (version.get() as { data_version: number }).data_version;
  }

  function load(): void {
    const rotated = new Map<string, Rotated[]>();
    for (const { name, hash, until } of db.prepare("SELECT * FROM rotated").all() as unknown as (Rotated & Row)[]) {
      const known = rotated.get(name);
      if (known === undefined) rotated.set(name, [{ hash, until }]);
      else known.push({ hash, until });
    }
    const rows = db.prepare("SELECT * FROM keys").all() as unknown as Row[];
    byName.clear();
    byHash.clear();
    for (const row of rows) keep(row, rotated.get(row.name) ?? []);
    secrets.forget();
    uses.load();
  }

  function keep(row: Row, rotated: readonly Rotated[]): void {
    const kept: Kept = { key: toKey(row), revokedAt: row.revoked_at, rotated };
    byName.set(row.name, kept);
    byHash.set(row.hash, found(kept, row.hash, Infinity));
    for (const { hash, until } of rotated) byHash.set(hash, found(kept, hash, until));
  }

  /** One change of the key `name`, which counts at once when it is written. */
  function change(audit: KeyChange["audit"], name: string, by: ChangedBy, write: (row: Row | undefined) => void): Kept {
    inTransaction(db, () => {
      write(rowOf.get(name) as unknown as Row | undefined);
      addChange.run(audit, name, (rowOf.get(name) as unknown as Row).owner, clock.now(), by);
    });
    keep(rowOf.get(name) as unknown as Row, rotatedOf.all(name) as unknown as Rotated[]);
    for (const listener of listeners) listener();
    return byName.get(name)!;
  }

  function toStored({ key, revokedAt, rotated }: Kept): StoredKey {
    const end = Math.max(0, ...rotated.map(({ until }) => until));
    const overlaps = revokedAt === null && end > clock.now();
    return { ...key, revokedAt, firstUsedAt: uses.at(key.hash), overlapEndsAt: overlaps ? end : null };
  }

  load();
  return {
    idSecret: idSecretOf(db)!,
    secretsOf: (owner) => secrets.secretsOf(owner),
    rotateSecret: (owner, overlapMs) => secrets.rotateSecret(owner, overlapMs),

    add(key, by) {
      const { name, owner, hash, scopes, models, requestsPerSecond, requestsInFlight, createdAt, expiresAt } = key;
      change("key_created", name, by, (taken) => {
        if (taken !== undefined) throw new Error(nameTaken(taken));
        const allowed = models === null ? null : JSON.stringify(models);
        insert.run(name, owner, hash, scopes.join(), allowed, requestsPerSecond, requestsInFlight, createdAt, expiresAt); // prettier-ignore
        secrets.ensure(owner);
      });
    },

    revoke(name, by) {
      const kept = change("key_revoked", name, by, (row) => {
        checkUsable(row, name);
        setRevoked.run(clock.now(), name);
      });
      return toStored(kept);
    },

    rotate(name, hash, overlapMs, by) {
      const kept = change("key_rotated", name, by, (row) => {
        const { hash: old, expires_at: expiresAt } = checkUsable(row, name);
        if (expiresAt !== null && expiresAt <= clock.now()) {
          throw new Error(`The key ${name} has expired. Make another one for the same owner with keys create --owner.`);
        }
        // Never a time of now: a server whose clock is behind this one would go on with it for as long.
        const until = overlapMs === 0 ? 0 : clock.now() + overlapMs;
        shortenRotated.run(until, name);
        addRotated.run(old, name, until);
        setHash.run(hash, name);
      });
      return toStored(kept);
    },

    find: (hash) => byHash.get(hash),
    list: () => [...byName.values()].map(toStored).sort(byAge),
    onChange: (listener) => void listeners.push(listener),

    refresh() {
      uses.write();
      const now = dataVersion();
      if (now === seenVersion) return;
      load();
      seenVersion = now;
      for (const listener of listeners) listener();
    },

    isFirstUse: (hash) => uses.isFirst(hash),

    tellChanges(tell) {
      const after = db.prepare("SELECT * FROM changes WHERE number > ? ORDER BY number").all(lastTold);
      for (const { number, ...told } of after as unknown as (KeyChange & { readonly number: number })[]) {
        tell(told);
        lastTold = number;
      }
      if (after.length > 0) lightly(db, () => db.prepare("DELETE FROM changes WHERE number <= ?").run(lastTold));
    },

    [Symbol.dispose](): void {
      uses.write();
      db.close();
    },
  };
}

/** When the secrets were used first, by their hashes; written later, many at a time. */
function firstUses(db: DatabaseSync, clock: Clock) {
  const add = db.prepare("INSERT OR IGNORE INTO first_uses VALUES (?, ?)");
  const all = db.prepare("SELECT * FROM first_uses");
  const written = new Map<string, number>();
  const unwritten = new Map<string, number>();
  return {
    load(): void {
      for (const { hash, at } of all.all() as unknown as { hash: string; at: number }[]) written.set(hash, at);
    },
    at: (hash: string): number | null => written.get(hash) ?? unwritten.get(hash) ?? null,
    isFirst(hash: string): boolean {
      if (written.has(hash) || unwritten.has(hash)) return false;
      unwritten.set(hash, clock.now());
      return true;
    },
    write(): void {
      if (unwritten.size === 0) return;
      const some = [...unwritten].slice(0, USES_AT_ONCE);
      lightly(db, () => {
        inTransaction(db, () => {
          for (const [hash, at] of some) add.run(hash, at);
        });
        for (const [hash, at] of some) {
          written.set(hash, at);
          unwritten.delete(hash);
        }
      });
    },
  };
}

/**
 * For what may be done again another time: waits for nobody who is writing. It is fsynced as all else is: where an
 * fsync fails later on, whatever it was that had not been, and all that follows in the log, is lost with the power.
 */
function lightly(db: DatabaseSync, work: () => void): void {
  const { timeout } = db.prepare("PRAGMA busy_timeout").get() as { timeout: number };
  db.exec("PRAGMA busy_timeout = 0");
  try {
    work();
  } catch {
    // Somebody writes just now, or the disk is full.
  } finally {
    db.exec(`PRAGMA busy_timeout = ${timeout}`);
  }
}

/** `rotatedUntil`: until when this secret works if it is not the present one, else Infinity. */
function found({ key, revokedAt }: Kept, hash: string, rotatedUntil: number): FoundKey {
  if (revokedAt !== null) return { key, hash, until: 0, ends: "revoked" };
  const expiresAt = key.expiresAt ?? Infinity;
  return rotatedUntil < expiresAt
    ? { key, hash, until: rotatedUntil, ends: "rotated" }
    : { key, hash, until: expiresAt, ends: "expired" };
}

function checkUsable(row: Row | undefined, name: string): Row {
  if (row === undefined) throw new Error(`There is no key named ${name}.`);
  if (row.revoked_at !== null) throw new Error(`The key ${name} is revoked already.`);
  return row;
}

function nameTaken({ name, revoked_at: revokedAt }: Row): string {
  // A name stands for one key in the log for ever.
  if (revokedAt !== null) return `There was a key named ${name}, which is revoked. Choose another name.`;
  return `There is a key named ${name} already. Choose another name.`;
}

function byAge(one: ApiKey, other: ApiKey): number {
  return one.createdAt - other.createdAt || (one.name < other.name ? -1 : 1);
}

function toKey(row: Row): ApiKey {
  return {
    name: row.name,
    owner: row.owner,
    hash: row.hash,
    scopes: row.scopes.split(",") as Scope[],
    models: row.models === null ? null : (JSON.parse(row.models) as string[]),
    requestsPerSecond: row.requests_per_second,
    requestsInFlight: row.requests_in_flight,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
