/**
 * Input files → enqueue → lease → artifacts → settle → other attempts' files deleted; expiry: files → row.
 * A server is killed at the n-th step of all these, for every n; the next one is killed at its n-th, the third lives.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { inlineRunner } from "../../src/runner/inline.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Submission } from "../../src/core/request.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { Sweeper } from "../../src/worker/sweeper.ts";
import { Worker } from "../../src/worker/worker.ts";
import { scratchDirectory } from "../scratch.ts";
import { LEASE_MS, modelOf } from "./open.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = { sweepFailed() {} };
/** Two files and five writes of the store's and the blob store's; one more is no kill at all. */
const STEPS = 7;

describe.each(["before", "after"] as const)("killed %s step", (side) => {
  it.each(Array.from({ length: STEPS }, (_, index) => index + 1))("%i", async (step) => {
    await using scratch = await scratchDirectory();
    const clock = manualClock();
    const store = memoryStore({ clock });
    const blobs = fsBlobStore(join(scratch.path, "files"));
    const submission = submissionMaker(clock)({ model: "model", hasFiles: true });

    await live(step, side, submission);
    await silence();
    await live(step, side);
    await silence();
    await live(Infinity, side);
    await new Sweeper({ store, blobs, clock, log, metrics, uploadTtlMs: 0 }).scan();
    expect(await keysIn(blobs)).toEqual(await named());

    clock.advance(3_600_000);
    await expire(step, side);
    await new Sweeper({ store, blobs, clock, log, metrics, uploadTtlMs: 0 }).sweep();
    expect(await keysIn(blobs)).toEqual([]);
    expect((await store.sweep(10)).expired).toEqual([]);

    /** Nobody lives until the lease of the dead has run out, and no file is young any more. */
    async function silence(): Promise<void> {
      clock.advance(LEASE_MS);
      await new Sweeper({ store, blobs, clock, log, metrics, uploadTtlMs: 0 }).sweep();
      clock.advance(10 * 60_000);
    }

    /** One server's life: it submits the request if there is one, runs what waits, and dies at `step` or stops when nothing is left to do. */
    async function live(step: number, side: "before" | "after", submission?: Submission): Promise<void> {
      const mortal = killedAt(step, side, { store, blobs });
      const worker = new Worker({
        name: "w",
        ...mortal,
        events: store.events,
        clock,
        log,
        models: [
          {
            name: "model",
            definition: picture,
            runner: inlineRunner({ definition: picture, concurrency: 1 }),
            timeoutMs: 60_000,
          },
        ],
        materialize: (input) => Promise.resolve({ ...input }),
        workDirectory: join(scratch.path, "work"),
        leaseMs: LEASE_MS,
        stopGraceMs: 60_000,
        pollMs: 2,
        durableLeases: false,
      });
      if (submission !== undefined) await Promise.race([mortal.killed, submit(mortal, submission)]);
      if (mortal.isDead()) return;
      await worker.start();
      // A killed server does nothing more: the wrappers hold every step it still takes.
      await Promise.race([mortal.killed, settled().then(() => worker.stop())]);
    }

    async function submit(mortal: Mortal, submission: Submission): Promise<void> {
      await mortal.blobs.put(newBlobKey(submission.id, 0, "png"), { bytes: Buffer.from("input") });
      await mortal.store.enqueue(submission);
    }

    async function expire(step: number, side: "before" | "after"): Promise<void> {
      const mortal = killedAt(step, side, { store, blobs });
      await Promise.race([mortal.killed, new Sweeper({ ...mortal, clock, log, metrics, uploadTtlMs: 0 }).sweep()]);
    }

    async function settled(): Promise<void> {
      for (;;) {
        const status = await store.status(submission.id);
        if (status === undefined || status.finishedAt !== null) return;
        await new Promise<void>((resolve) => {
          const stop = store.onWake!(() => (stop(), resolve()));
        });
      }
    }

    /** What the row names: its input and, when completed, its result. */
    async function named(): Promise<string[]> {
      const request = await store.get(submission.id);
      if (request === undefined) return [];
      expect(request.status).toBe("COMPLETED");
      const inputs: string[] = [];
      for await (const name of blobs.list(`${request.id}/0/`)) inputs.push(`${request.id}/0/${name}`);
      expect(inputs).toHaveLength(1);
      const files = request.result?.kind === "image" ? request.result.files.map(({ key }) => key) : [];
      return [...inputs, ...files].sort();
    }
  });
});

const picture = modelOf(
  async (_, { file }) => {
    const outputs = [file("a.png"), file("b.png")];
    for (const { path } of outputs) await writeFile(path, "picture");
    return outputs;
  },
  { output: "image" },
);

interface Mortal {
  readonly store: RequestStore;
  readonly blobs: BlobStore;
  readonly killed: Promise<void>;
  readonly isDead: () => boolean;
}

/** The same store and blobs as a server sees them that is killed before or after its `step`-th write: from then on none of its calls does anything or returns. */
function killedAt(
  step: number,
  side: "before" | "after",
  real: { readonly store: RequestStore; readonly blobs: BlobStore },
): Mortal {
  const { promise: killed, resolve: kill } = Promise.withResolvers<void>();
  let taken = 0;
  let dead = false;
  const { store, blobs } = real;

  function mortal<Arguments extends unknown[], Answer>(
    call: (...arguments_: Arguments) => Promise<Answer>,
    counts: (answer: Answer) => boolean = () => true,
  ): (...arguments_: Arguments) => Promise<Answer> {
    return async (...arguments_) => {
      if (dead) return await new Promise<never>(() => {});
      if (side === "before" && taken + 1 === step) return await die();
      const answer = await call(...arguments_);
      if (counts(answer)) taken += 1;
      if (side === "after" && taken === step) return await die();
      return answer;
    };
  }

  function die(): Promise<never> {
    dead = true;
    kill();
    return new Promise<never>(() => {});
  }

  return {
    killed,
    isDead: () => dead,
    store: {
      ...store,
      enqueue: mortal(store.enqueue),
      lease: mortal(store.lease, (leases) => leases.length > 0),
      settle: mortal(store.settle),
      finish: mortal(store.finish),
      sweep: mortal(store.sweep),
    },
    blobs: { ...blobs, put: mortal(blobs.put), deletePrefix: mortal(blobs.deletePrefix) },
  };
}

async function keysIn(blobs: BlobStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const id of blobs.list("")) {
    for await (const attempt of blobs.list(`${id}/`)) {
      for await (const name of blobs.list(`${id}/${attempt}/`)) keys.push(`${id}/${attempt}/${name}`);
    }
  }
  return keys.sort();
}
