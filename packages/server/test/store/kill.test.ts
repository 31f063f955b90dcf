import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { RetryPolicy } from "../../src/core/transition.ts";
import type { Lease } from "../../src/store/store.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { directory } from "./directory.ts";
import { storeProcess } from "./process.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";

it("loses no answered submit to kill -9 in the middle of a thousand", async () => {
  const path = directory();
  const child = storeProcess(path, 64);
  await child.line(() => child.lines.length > 1_000);
  await child.kill();

  const answered = child.lines.filter((line) => line !== "ready");
  expect(answered.length).toBeGreaterThanOrEqual(1_000);
  await using store = await sqliteStore({ directory: path, clock: systemClock() });
  expect(answered.filter((id) => store.status(id)?.status !== "QUEUED")).toEqual([]);
  await store.loaded();
  expect(answered.filter((id) => store.status(id)?.status !== "QUEUED")).toEqual([]);
});

it("answers an idempotency key that comes again after kill -9 with the request that has it", async () => {
  const path = directory();
  const child = storeProcess(path, 16, { mode: "keyed" });
  await child.line(() => child.lines.length > 200);
  await child.kill();

  const keys = child.lines.filter((line) => line !== "ready");
  const clock = systemClock();
  const submission = submissionMaker(clock);
  await using store = await sqliteStore({ directory: path, clock });
  const again = keys.map((idempotencyKey) => submission({ idempotencyKey, idempotencyDigest: "d" }));
  expect(await Promise.all(again.map((asked) => store.enqueue(asked)))).toEqual(
    keys.map((id) => ({ ok: false, id, idempotencyDigest: "d" })),
  );
});

it("counts the leases of a killed server as lost at once, and says that the stop was unclean", async () => {
  const path = directory();
  const child = storeProcess(path, 0, { mode: "lease" });
  await child.line((line) => line === "ready");
  await child.kill();

  const clock = systemClock();
  await using store = await sqliteStore({ directory: path, clock });
  expect(store.unclean).toBe(true);
  await store.loaded();
  expect(store.stats().models.get("mock")).toMatchObject({ queued: 3, processing: 0 });
  const wish = { worker: "w2", capacity: new Map([["mock", 3]]), leaseMs: 1_000, durable: true };
  const [untouched, ...none] = await store.lease(wish);
  expect(none).toEqual([]);
  expect(await store.get(untouched!.id)).toMatchObject({ attempts: 0, crashes: 0, leases: 1 });
});

it("is over an unclean stop when what ran then has an outcome, and not before", async () => {
  const path = directory();
  const child = storeProcess(path, 0, { mode: "lease" });
  await child.line((line) => line === "ready");
  await child.kill();
  const clock = manualClock(Date.now());
  await using store = await sqliteStore({ directory: path, clock });
  await store.loaded();
  clock.advance(1_000); // what was lost may run again
  const wish = { worker: "w2", capacity: new Map([["mock", 3]]), leaseMs: 1_000, durable: true };
  const leases = await store.lease(wish);
  expect(leases.map(({ crashes }) => crashes)).toEqual([1, 1, 0]);
  const [first, second] = leases as [Lease, Lease];
  const done = { type: "complete", result: { kind: "text", text: "", reasoning: null }, inferenceMs: 1, hasFiles: false } as const; // prettier-ignore
  await store.settle(first.id, first.token, done);
  await store.settle(second.id, second.token, { type: "release" });
  expect(store.unclean).toBe(true);
  await store.finish(second.id, { type: "delete" });
  expect(store.unclean).toBe(false);
});

it("hands out nothing that was waiting then before its lease is in the file, whoever asks for it", async () => {
  const path = directory();
  const child = storeProcess(path, 0, { mode: "lease" });
  await child.line((line) => line === "ready");
  await child.kill();
  await using store = await sqliteStore({ directory: path, clock: manualClock(Date.now()) });
  const wish = { worker: "w2", capacity: new Map([["mock", 3]]), leaseMs: 1_000, durable: false };
  const [neverRan] = await store.lease(wish);
  expect(neverRan?.crashes).toBe(0);
  using file = new DatabaseSync(join(path, "inferq.db"), { readOnly: true });
  expect(file.prepare("SELECT count(*) AS leased FROM requests WHERE status = 1").get()).toEqual({ leased: 1 });
});

it("runs whatever may have taken the host down, on its last try, when nothing else does", async () => {
  const path = directory();
  const child = storeProcess(path, 0, { mode: "lease" });
  await child.line((line) => line === "ready");
  await child.kill();
  const retriesOf = (): RetryPolicy => ({ crashes: 1, errors: 2, delayMs: 0 });
  await using store = await sqliteStore({ directory: path, clock: manualClock(Date.now()), retriesOf });
  const wish = { worker: "w2", capacity: new Map([["mock", 3]]), leaseMs: 1_000, durable: true };
  const woken: string[] = [];
  store.onWake?.((wake) => wake.type === "queued" && woken.push(wake.model));
  const done = { type: "complete", result: { kind: "text", text: "", reasoning: null }, inferenceMs: 1, hasFiles: false } as const; // prettier-ignore
  for (let suspect = 0; suspect < 2; suspect++) {
    const [lease, ...none] = await store.lease(wish);
    expect(lease?.crashes).toBe(1);
    expect(none).toEqual([]);
    expect(await store.lease(wish)).toEqual([]);
    woken.length = 0;
    await store.settle(lease!.id, lease!.token, done);
    expect(woken).toEqual(["mock"]);
  }
  const [innocent] = await store.lease(wish);
  expect(innocent?.crashes).toBe(0);
});

it("waits for what runs before it runs such a one, and keeps its place", async () => {
  const path = directory();
  const child = storeProcess(path, 0, { mode: "lease" });
  await child.line((line) => line === "ready");
  await child.kill();
  const clock = manualClock(Date.now());
  const retriesOf = (): RetryPolicy => ({ crashes: 1, errors: 2, delayMs: 1_000 });
  await using store = await sqliteStore({ directory: path, clock, retriesOf });
  const wish = { worker: "w2", capacity: new Map([["mock", 1]]), leaseMs: 60_000, durable: true };
  const [innocent] = await store.lease(wish);
  expect(innocent?.crashes).toBe(0);
  clock.advance(1_000);
  expect(await store.lease(wish)).toEqual([]);
  await store.settle(innocent!.id, innocent!.token, { type: "release" });
  expect(await store.lease(wish)).toMatchObject([{ crashes: 1 }]);
});

it("lets the next server in after kill -9, and none before", async () => {
  const path = directory();
  const child = storeProcess(path, 0);
  await child.line((line) => line === "ready");
  const sentence = `The data directory ${path} is in use by another inferq server. Stop that one, or use another directory.`;
  await expect(sqliteStore({ directory: path, clock: systemClock() })).rejects.toThrow(sentence);
  await child.kill();
  await using store = await sqliteStore({ directory: path, clock: systemClock() });
  expect(store.unclean).toBe(true);
});
