/**
 * A process of its own that enqueues into the store at argv[2] and prints each id once it is answered,
 * as many side by side as argv[3] says. argv[4]: `lease` makes it hold leases too, `keyed` gives every request
 * an idempotency key that reads like its id, `settle` ends one request for each that it enqueues, whose outcomes a
 * webhook is to tell, and prints the ids of those. Killed by its test.
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

/** Outcomes of every kind; every fourth request is left running. */
async function settlingLane(): Promise<void> {
  const webhook = { url: "https://hooks.example/", events: ["completed", "failed"], body: "full" } as const;
  const result = { kind: "text", text: "Yes.", reasoning: null } as const;
  const failure = { code: "model_error", message: "No." } as const;
  for (let turn = 0; ; turn++) {
    await store.enqueue(submission({ webhook, publicBase: "http://localhost" }));
    const wish = { worker: "w1", capacity: new Map([["mock", 1]]), leaseMs: 3_600_000, durable: false };
    for (const { id, token } of await store.lease(wish)) {
      if (turn % 4 === 0) await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
      else if (turn % 4 === 1) await store.settle(id, token, { type: "fail", kind: "error", failure, inferenceMs: 1 });
      else if (turn % 4 === 2) await store.finish(id, { type: "cancel", failure });
      else continue;
      process.stdout.write(`${id}\n`);
    }
  }
}

await Promise.all(Array.from({ length: Number(lanes) }, mode === "settle" ? settlingLane : lane));
