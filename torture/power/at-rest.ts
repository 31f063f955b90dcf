/** A data directory whose server has stopped: its files are those that rows name, and its databases are whole. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fsBlobStore } from "../../packages/server/src/blob/fs.ts";
import { systemClock } from "../../packages/server/src/core/clock.ts";
import { sqliteStore } from "../../packages/server/src/store/sqlite/sqlite-store.ts";
import { Sweeper } from "../../packages/server/src/worker/sweeper.ts";

/** By then the files of a submit that came to nothing are nobody's. */
const LATER_MS = 11 * 60_000;
const HOUR_MS = 3_600_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Answers what is wrong, a sentence each. Of the requests `halfDeleted` the files may be gone and the row be there. */
export async function faultsAtRest(data: string, halfDeleted: ReadonlySet<string>): Promise<string[]> {
  const faults = ["inferq.db", "keys.db"].flatMap((name) => damageOf(join(data, name)));
  if (faults.length > 0) return faults;
  await tidyUp(data);
  const files = join(data, "files");
  const there = (readdirSync(files, { recursive: true }) as string[])
    .filter((name) => /^[^./][^/]*\/[^/]+\/[^/]+$/.test(name) && !name.startsWith("u-"))
    .sort();
  const named = namedBy(join(data, "inferq.db"), files);
  for (const name of there) if (!named.has(name)) faults.push(`the file ${name} is there, and no row names it`);
  for (const name of named) {
    if (there.includes(name) || halfDeleted.has(name.split("/", 1)[0]!)) continue;
    faults.push(`a row names the file ${name}, which is not there`);
  }
  for (const name of readdirSync(join(files, ".staging"))) faults.push(`${name} was left in the staging directory`);
  return faults;
}

function damageOf(path: string): string[] {
  using db = new DatabaseSync(path, { readOnly: true });
  const lines = db.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
  return lines
    .map(({ integrity_check: line }) => line)
    .filter((line) => line !== "ok")
    .map((line) => `${path}: ${line}`);
}

/** What the server's own sweeper does in some minutes. */
async function tidyUp(data: string): Promise<void> {
  const { now } = systemClock();
  const clock = { ...systemClock(), now: () => now() + LATER_MS };
  await using store = await sqliteStore({ directory: data, clock });
  await store.loaded();
  const blobs = fsBlobStore(join(data, "files"));
  await using sweeper = new Sweeper({
    store,
    blobs,
    clock,
    log: SILENT,
    metrics: {
      sweepFailed: (kind) => {
        throw new Error(`The ${kind} failed.`);
      },
    },
    uploadTtlMs: HOUR_MS,
  });
  await sweeper.scan();
}

/** Keys of all files that inputs and results name; inputs may be files themselves. */
function namedBy(path: string, files: string): Set<string> {
  using db = new DatabaseSync(path, { readOnly: true });
  const named = new Set<string>();
  const read = (json: string): void => {
    for (const [, key] of json.matchAll(/"key":"([^"]+)"/g)) named.add(key!);
  };
  const inputs = db.prepare("SELECT json, key FROM inputs").all() as { json: string | null; key: string | null }[];
  for (const { json, key } of inputs) {
    if (key !== null) named.add(key);
    read(json ?? readFileSync(join(files, key!), "utf8"));
  }
  for (const { json } of db.prepare("SELECT json FROM results").all() as { json: string }[]) read(json);
  return named;
}
