/**
 * A process of its own that enqueues into the store at argv[2] and prints each id once it is answered,
 * as many side by side as argv[3] says. argv[4]: `lease` makes it hold leases too, `keyed` gives every request
 * an idempotency key that reads like its id. Killed by its test.
 */
import { systemClock } from "../../src/core/clock.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { submissionMaker } from "../../src/testing/submission.ts";

const [, , directory, lanes, mode] = process.argv;
const clock = systemClock();
const submission = submissionMaker(clock);
const store = await sqliteStore({ directory: directory!, clock });

if (mode === "lease") {
  for (let i = 0; i < 3; i++) await store.enqueue(submission());
  await store.lease({ worker: "w1", capacity: new Map([["mock", 2]]), leaseMs: 3_600_000, durable: true });
}
process.stdout.write("ready\n");

async function lane(): Promise<void> {
  for (;;) {
    const plain = submission({ input: { json: JSON.stringify({ prompt: "rose ".repeat(200) }) } });
    const asked = mode === "keyed" ? { ...plain, idempotencyKey: plain.id, idempotencyDigest: "d" } : plain;
    try {
      await store.enqueue(asked);
      process.stdout.write(`${asked.id}\n`);
    } catch (error) {
      process.stdout.write(`refused ${(error as { code?: string }).code} ${asked.id}\n`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
await Promise.all(Array.from({ length: Number(lanes) }, lane));
