/** What a stopped server leaves on disk: the rows, and the files, which must be exactly those that the rows name. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fsBlobStore } from "../../packages/server/src/blob/fs.ts";
import type { Artifact, Result } from "../../packages/server/src/core/request.ts";
import type { StoredMedia } from "../../packages/server/src/media/media.ts";
import { idFromBytes } from "../../packages/server/src/store/sqlite/id-bytes.ts";
import { sqliteStore } from "../../packages/server/src/store/sqlite/sqlite-store.ts";
import { Sweeper } from "../../packages/server/src/worker/sweeper.ts";

/** A sweep at a later time, so long after the last submit that what a kill left half done is nobody's. */
const LATER_MS = 11 * 60_000;

/** A finished request's row. */
export interface Row {
  readonly id: string;
  /** 2 COMPLETED, 3 FAILED. */
  readonly status: number;
  readonly leases: number;
  readonly attempts: number;
  readonly crashes: number;
  readonly failure_code: string | null;
  readonly idempotency_key: string | null;
  readonly input_json: string | null;
  readonly input_key: string | null;
  readonly result: Result | null;
  /** Codes of the attempts that ended without an outcome, in their order; null: given back unspent. */
  readonly past: readonly (string | null)[];
}

/** Does what a sweeper would in the next minutes: files without a row are deleted when no submit can be about to write it. */
export async function sweepLater(directory: string): Promise<void> {
  const clock = { now: () => Date.now() + LATER_MS };
  const quiet = (): void => undefined;
  await using store = await sqliteStore({ directory, clock });
  await store.loaded();
  const sweeper = new Sweeper({
    store,
    blobs: fsBlobStore(join(directory, "files")),
    clock,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    metrics: { sweepFailed: quiet },
    uploadTtlMs: 0,
  });
  await sweeper.sweep();
  await sweeper.scan();
}

/** All rows of the data directory, and what is wrong with it as such, a sentence each. */
export function readRows(directory: string): { readonly rows: readonly Row[]; readonly faults: readonly string[] } {
  using database = open(directory);
  const { db } = database;
  const faults: string[] = [];
  const none = (sql: string, fault: string): void => {
    const found = db.prepare(sql).all();
    if (found.length > 0) faults.push(`${fault}: ${found.length}, such as ${JSON.stringify(found[0])}`);
  };
  const [check] = db.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
  if (check?.integrity_check !== "ok") faults.push(`integrity_check: ${check?.integrity_check}`);
  none("SELECT name FROM meta WHERE name = 'clean_stop' AND value <> 1", "not marked as stopped");
  none("SELECT hex(id) FROM requests WHERE status < 2 OR lease_token IS NOT NULL", "requests that are not finished");
  none(
    "SELECT hex(id) FROM requests LEFT JOIN inputs ON number = input WHERE number IS NULL",
    "requests without their input",
  );
  none("SELECT number FROM inputs WHERE number NOT IN (SELECT input FROM requests)", "inputs without a request");
  none(
    "SELECT number FROM results WHERE number NOT IN (SELECT result FROM requests WHERE result IS NOT NULL UNION SELECT result FROM deliveries WHERE result IS NOT NULL)",
    "results of nobody",
  );
  none("SELECT input FROM past_attempts WHERE input NOT IN (SELECT input FROM requests)", "attempts of no request");
  none("SELECT hex(id) FROM deliveries WHERE state <> 1", "webhooks that were not delivered");
  none(
    "SELECT idempotency_key FROM requests WHERE idempotency_key IS NOT NULL GROUP BY owner, idempotency_key HAVING count(*) > 1",
    "idempotency keys of two requests",
  );
  return { rows: allRows(db), faults };
}

/** The keys of all files, and what else lies about, a sentence each. */
export function readFileKeys(directory: string): {
  readonly keys: ReadonlySet<string>;
  readonly faults: readonly string[];
} {
  const keys = new Set<string>();
  const faults: string[] = [];
  for (const path of readdirSync(join(directory, "files"), { recursive: true, encoding: "utf8" })) {
    const parts = path.split("/");
    if (parts.length === 3) keys.add(path);
    else if (parts[0] === ".staging" && parts.length > 1) faults.push(`half a file: ${path}`);
  }
  const left = readdirSync(join(directory, "work"));
  if (left.length > 0) faults.push(`working directories of attempts: ${left.length}, such as ${left[0]}`);
  return { keys, faults };
}

/** The keys that a row names: of its input and of its result. */
export function namedBy({ input_json: json, input_key: key, result }: Row): readonly string[] {
  const fields = Object.values(json === null ? {} : (JSON.parse(json) as Record<string, StoredMedia | null>));
  const media = fields.flatMap((field) => {
    const medium = field?.$media;
    return medium !== undefined && "key" in medium ? [medium.key] : [];
  });
  return [...(key === null ? [] : [key]), ...media, ...filesOf(result).map((file) => file.key)];
}

/** The files of a result. */
export function filesOf(result: Result | null): readonly Artifact[] {
  if (result === null) return [];
  if (result.kind === "image") return result.files;
  if (result.kind === "text") return typeof result.text === "string" ? [] : [result.text];
  return [result.file];
}

/** The bytes of a file, none where it is not there. */
export function readBlob(directory: string, key: string): Buffer {
  const path = join(directory, "files", key);
  return existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
}

function open(directory: string): Disposable & { readonly db: DatabaseSync } {
  const db = new DatabaseSync(join(directory, "inferq.db"), { readOnly: true });
  return { db, [Symbol.dispose]: () => db.close() };
}

function allRows(db: DatabaseSync): Row[] {
  const past = new Map<number, (string | null)[]>();
  for (const { input, failure_code: code } of db
    .prepare("SELECT input, failure_code FROM past_attempts ORDER BY input, attempt")
    .all() as unknown as { input: number; failure_code: string | null }[]) {
    past.set(input, [...(past.get(input) ?? []), code]);
  }
  const rows = db.prepare(
    `SELECT id, status, leases, attempts, crashes, failure_code, idempotency_key, requests.input, inputs.json AS input_json,
      inputs.key AS input_key, results.json AS result
      FROM requests JOIN inputs ON inputs.number = requests.input LEFT JOIN results ON results.number = requests.result`,
  );
  return (rows.all() as unknown as (Row & { id: Uint8Array; input: number; result: string | null })[]).map((row) => ({
    ...row,
    id: idFromBytes(row.id),
    result: row.result === null ? null : (JSON.parse(row.result) as Result),
    past: past.get(row.input) ?? [],
  }));
}
