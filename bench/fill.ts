/**
 * Fills a data directory with waiting requests: `node bench/fill.ts <directory> <count> <input as JSON> [<keys>]`. They come from
 * so many keys in turn, one if nothing is said. Prints the first id.
 */
import { systemClock } from "../packages/server/src/core/clock.ts";
import { idMaker } from "../packages/server/src/core/ids.ts";
import type { Submission } from "../packages/server/src/core/request.ts";
import { sqliteStore } from "../packages/server/src/store/sqlite/sqlite-store.ts";

/** How many submits go into the store at once. */
const BATCH = 5_000;
const LIFETIME_MS = 3_600_000;

const [directory, countText, json, keysText = "1"] = process.argv.slice(2);
const [count, keys] = [Number(countText), Number(keysText)];
if (directory === undefined || json === undefined || !Number.isInteger(count) || !Number.isInteger(keys)) {
  throw new Error("Expected a directory, a number of requests, an input as JSON, and a number of keys or nothing.");
}

const clock = systemClock();
const newId = idMaker(clock);
await using store = await sqliteStore({ directory, clock });
let first = "";
for (let done = 0; done < count; done += BATCH) {
  const batch = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => submission((done + i) % keys));
  if (first === "") first = batch[0]!.id;
  await Promise.all(batch.map((one) => store.enqueue(one)));
}
console.log(first);

function submission(key: number): Submission {
  const now = clock.now();
  return {
    id: newId(),
    model: "mock-inference",
    owner: "bench", // the key of processes.ts; its requests are its own
    key: key === 0 ? "bench" : `bench-${key}`,
    input: { json: json! },
    hasFiles: false,
    priority: 0,
    createdAt: now,
    notBefore: now,
    startDeadline: null,
    runTimeoutMs: null,
    expiresAt: now + LIFETIME_MS,
    keepMs: null,
    idempotencyKey: null,
    idempotencyDigest: null,
    retryOf: null,
    webhook: null,
    publicBase: "http://127.0.0.1",
  };
}
