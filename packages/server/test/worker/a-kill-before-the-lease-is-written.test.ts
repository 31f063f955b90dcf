/** A run does not wait until its lease is written, so a kill can leave artifacts of an attempt that no row knows. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { Sweeper } from "../../src/worker/sweeper.ts";
import { scratchDirectory } from "../scratch.ts";
import { LEASE_MS } from "./open.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = { sweepFailed() {} };

it("its artifacts do not stay beside those of the next attempt, which has its number", async () => {
  await using scratch = await scratchDirectory();
  const clock = manualClock();
  const options = { directory: scratch.path, clock };
  const asked = submissionMaker(clock)();
  const blobs = fsBlobStore(join(scratch.path, "files"));
  {
    await using store = await sqliteStore(options);
    await store.enqueue(asked);
    using file = new DatabaseSync(join(scratch.path, "inferq.db"));
    file.exec("ALTER TABLE requests RENAME TO hidden"); // no commit succeeds any more
    const lease = await leaseOf(store);
    await putArtifact(lease);
    await expect(store.settle(asked.id, lease.token, { type: "release" })).rejects.toThrow("does not work now");
    file.exec("ALTER TABLE hidden RENAME TO requests");
  }
  await using store = await sqliteStore(options);
  const lease = await leaseOf(store);
  expect(lease.attempt).toBe(1);
  const key = await putArtifact(lease);
  const file = { key, contentType: "video/mp4", size: 5, fileName: "output.mp4" };
  const result = { kind: "video", file } as const;
  await store.settle(asked.id, lease.token, { type: "complete", result, inferenceMs: 1, hasFiles: true });
  expect(await artifacts()).toHaveLength(2);

  await new Sweeper({ store, blobs, clock, log, metrics, uploadTtlMs: 0 }).scan();
  expect(await artifacts()).toEqual([key]);

  async function leaseOf(store: RequestStore): Promise<Lease> {
    const capacity = new Map([[asked.model, 1]]);
    const [lease] = await store.lease({ worker: "w", capacity, leaseMs: LEASE_MS, durable: false });
    return lease!;
  }

  async function putArtifact({ id, attempt }: Lease): Promise<string> {
    const key = newBlobKey(id, attempt, "mp4");
    await blobs.put(key, { bytes: Buffer.from("video") });
    return key;
  }

  async function artifacts(): Promise<string[]> {
    const keys: string[] = [];
    for await (const name of blobs.list(`${asked.id}/1/`)) keys.push(`${asked.id}/1/${name}`);
    return keys;
  }
});
