/**
 * Leases and settles requests on a filled data directory, with no HTTP before it:
 * `node bench/lease.ts <directory> <count>`. Prints how many a second.
 */
import { systemClock } from "../packages/server/src/core/clock.ts";
import { sqliteStore } from "../packages/server/src/store/sqlite/sqlite-store.ts";

/** Batches on their way at once, and requests in each: what a worker with 64 places asks for. */
const LOOPS = 4;
const BATCH = 16;

const [directory, countText] = process.argv.slice(2);
const count = Number(countText);
if (directory === undefined || !Number.isInteger(count))
  throw new Error("Expected a directory and a number of requests.");

await using store = await sqliteStore({ directory, clock: systemClock() });
await store.loaded();
await leaseAndSettle(count / 4); // for the compiler
const begun = performance.now();
await leaseAndSettle(count);
console.log((count / (performance.now() - begun)) * 1000);

async function leaseAndSettle(total: number): Promise<void> {
  let begun = 0;
  const wish = { worker: "bench", capacity: new Map([["mock-inference", BATCH]]), leaseMs: 60_000, durable: false };
  const loop = async (): Promise<void> => {
    while (begun < total) {
      begun += BATCH;
      const leases = await store.lease(wish);
      if (leases.length < BATCH) throw new Error(`Asked for ${BATCH} leases, got ${leases.length}.`);
      await Promise.all(
        leases.map(async ({ id, token }) => {
          const result = { kind: "text", text: "done", reasoning: null } as const;
          const answer = await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
          if (!answer.ok) throw new Error(`A settle was refused: ${answer.refusal}.`);
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
}
