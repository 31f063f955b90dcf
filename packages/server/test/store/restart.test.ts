import { DatabaseSync } from "node:sqlite";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { MIGRATIONS, openForWriting } from "../../src/store/sqlite/schema.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";
import { fill } from "./fill.ts";

const one = { worker: "w1", capacity: new Map([["mock", 1]]), leaseMs: 1_000, durable: true };

it("finds everything again after a stop, and knows that it was clean", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const [done, waiting, delayed] = [submission(), submission(), submission({ notBefore: clock.now() + 5_000 })];
  const result = { kind: "text", text: "Yes.", reasoning: null } as const;
  {
    await using store = await sqliteStore({ directory: path, clock });
    expect(store.unclean).toBe(false);
    for (const asked of [done, waiting, delayed]) await store.enqueue(asked);
    const [lease] = await store.lease(one);
    await store.settle(lease!.id, lease!.token, { type: "complete", result, inferenceMs: 3, hasFiles: false });
  }
  await using store = await sqliteStore({ directory: path, clock });
  expect(store.unclean).toBe(false);
  expect(store.status(done.id)).toMatchObject({ status: "COMPLETED", inferenceMs: 3, finishedAt: clock.now() });
  expect(await store.get(done.id)).toMatchObject({ result });
  await store.loaded();
  expect([store.load.waiting, store.load.waitingFor("mock"), store.load.unfinishedOf("alice")]).toEqual([2, 2, 2]);
  expect((await store.lease(one)).map(({ id }) => id)).toEqual([waiting.id]);
  expect(await store.lease(one)).toEqual([]);
  clock.advance(5_000);
  expect((await store.lease(one)).map(({ id }) => id)).toEqual([delayed.id]);
});

it("makes a data directory that its user alone can read", async () => {
  const path = join(directory(), "data");
  await using _store = await sqliteStore({ directory: path, clock: manualClock() });
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

it("answers at once with 200,000 waiting, takes more, and then leases in their order", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const ids = fill(path, 200_000, clock.now());

  await using store = await sqliteStore({ directory: path, clock });
  expect(store.stats().models.get("mock")?.queued ?? 0).toBeLessThan(100_000); // the index is still loading
  expect(store.status(ids.at(-1)!)).toMatchObject({ status: "QUEUED", model: "mock" });
  const urgent = submission({ priority: 1 });
  await store.enqueue(urgent);
  const capacity = new Map([["mock", 3]]);
  const leases = await store.lease({ ...one, capacity });
  expect(leases.map(({ id }) => id)).toEqual([urgent.id, ids[0], ids[1]]);
  expect(store.stats().models.get("mock")).toMatchObject({ queued: 199_998, processing: 3 });
});

it("brings an older file up to date, and leaves a newer one alone", async () => {
  const path = directory();
  const clock = manualClock();
  const asked = submissionMaker(clock)();
  {
    await using store = await sqliteStore({ directory: path, clock });
    await store.enqueue(asked);
  }
  const file = join(path, "inferq.db");
  openForWriting(file, [...MIGRATIONS, "ALTER TABLE requests ADD COLUMN colour TEXT"]).close();
  const db = new DatabaseSync(file);
  expect(db.prepare("SELECT colour, model FROM requests").all()).toMatchObject([{ colour: null, model: "mock" }]);
  db.close();
  await expect(sqliteStore({ directory: path, clock })).rejects.toThrow(
    `was written by a newer inferq (schema ${MIGRATIONS.length + 1};`,
  );
});

it("names a directory that it cannot write", async () => {
  const path = join(directory(), "data");
  writeFileSync(path, "a file where the directory should be");
  await expect(sqliteStore({ directory: path, clock: manualClock() })).rejects.toThrow(
    `The data directory ${path} cannot be written: `,
  );
});
