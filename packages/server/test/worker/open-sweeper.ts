import { join } from "node:path";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { idMaker } from "../../src/core/ids.ts";
import type { Submission } from "../../src/core/request.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { Sweeper } from "../../src/worker/sweeper.ts";
import { scratchDirectory } from "../scratch.ts";
import { LEASE_MS } from "./open.ts";

/** A sweeper over the plain store and real files. */
export async function openSweeper(wrapBlobs: (blobs: BlobStore) => BlobStore = (blobs) => blobs) {
  const scratch = await scratchDirectory();
  const clock = manualClock();
  const store = memoryStore({ clock });
  const blobs = fsBlobStore(join(scratch.path, "files"));
  const failed: string[] = [];
  const metrics = { sweepFailed: (kind: string) => void failed.push(kind) };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const sweeper = new Sweeper({ store, blobs: wrapBlobs(blobs), clock, log, metrics, uploadTtlMs: 3_600_000 });
  const submission = submissionMaker(clock);
  return {
    clock,
    store,
    blobs,
    sweeper,
    /** Kinds of the sweeps that failed. */
    failed,
    newId: idMaker(clock),
    request: async (over: Partial<Submission> = {}): Promise<string> => {
      const request = submission(over);
      await store.enqueue(request);
      return request.id;
    },
    /** Leases one request; answers the lease's token. */
    lease: async (): Promise<string> => {
      const wish = { worker: "w", capacity: new Map([["mock", 1]]), leaseMs: LEASE_MS, durable: false };
      return (await store.lease(wish))[0]!.token;
    },
    /** Answers the key. */
    put: async (id: string, attempt: number): Promise<string> => {
      const key = newBlobKey(id, attempt, "bin");
      await blobs.put(key, { bytes: Buffer.from("bytes") });
      return key;
    },
    files: () => attemptsIn(blobs),
    async [Symbol.asyncDispose]() {
      await sweeper.stop();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** `<id>/<attempt>` of all there are. */
export async function attemptsIn(blobs: BlobStore): Promise<string[]> {
  const found: string[] = [];
  for await (const id of blobs.list("")) {
    for await (const attempt of blobs.list(`${id}/`)) found.push(`${id}/${attempt}`);
  }
  return found.sort();
}
