import { writeFile } from "node:fs/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import { LeaseKeeper } from "../../src/worker/lease-keeper.ts";
import { finished, LEASE_MS, modelOf, openWorker } from "./open.ts";

const CANCEL = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

it("a late result is refused, and its files are deleted", async () => {
  const storing = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  const picture = (name: string) => modelOf((_, { file }) => write(file(name)), { output: "image" });
  let puts = 0;
  await using opened = await openWorker(picture("late.png"), {
    wrapBlobs: (blobs) => ({
      ...blobs,
      async put(key, source) {
        if (++puts === 1) {
          storing.resolve();
          await late.promise;
        }
        return await blobs.put(key, source);
      },
    }),
  });
  const { clock, store, submit, until, files, logged } = opened;
  const id = await submit();
  await storing.promise;
  const stopped = opened.worker.stop(); // else it may take the request again itself
  clock.advance(LEASE_MS);
  await store.sweep(500);
  clock.advance(1_000);
  const second = opened.another(picture("quick.png"), "second");
  await second.start();
  expect(await until(id, finished)).toMatchObject({ status: "COMPLETED", leases: 2, crashes: 1 });

  late.resolve();
  await expect.poll(() => logged.some(({ refusal }) => refusal === "finished")).toBe(true);
  await Promise.all([stopped, second.stop()]);
  expect(await store.get(id)).toMatchObject({ result: { files: [{ fileName: "quick.png" }] } });
  expect(await files()).toEqual([`${id}/2`]);
});

it("a heartbeat extends every lease, and a lease dropped meanwhile is not lost", async () => {
  const { keeper, clock, store, leases } = await keep(2);
  const [kept, dropped] = leases as [Lease, Lease];
  const lost: string[] = [];
  keeper.hold(kept, () => lost.push("kept"));
  keeper.hold(dropped, () => lost.push("dropped"));
  clock.advance(20_000);
  const beat = keeper.beat();
  await store.settle(dropped.id, dropped.token, { type: "release" });
  keeper.drop(dropped);
  await beat;
  clock.advance(20_000);
  await keeper.beat();
  expect(lost).toEqual([]);
  expect((await store.sweep(10)).lost).toEqual([]);
});

it("leases that ran out while this process stood still are kept, if nobody has taken them", async () => {
  const { keeper, clock, store, leases } = await keep(2);
  const [kept, taken] = leases as [Lease, Lease];
  const lost: string[] = [];
  keeper.hold(kept, () => lost.push("kept"));
  keeper.hold(taken, () => lost.push("taken"));
  await store.settle(taken.id, taken.token, { type: "release" });
  clock.advance(LEASE_MS * 2);
  await keeper.beat();
  expect(lost).toEqual(["taken"]);
  expect((await store.sweep(10)).lost).toEqual([]);
});

it("leases that cannot be extended are kept while nobody says that they are lost", async () => {
  const broken: Partial<RequestStore> = { heartbeat: () => Promise.reject(new Error("The disk is gone.")) };
  const { keeper, clock, store, leases } = await keep(2, broken);
  const [kept, taken] = leases as [Lease, Lease];
  const lost: string[] = [];
  keeper.hold(kept, () => lost.push("kept"));
  keeper.hold(taken, () => lost.push("taken"));
  for (let i = 0; i < 10; i++) {
    await keeper.beat();
    clock.advance(LEASE_MS);
  }
  expect(lost).toEqual([]);
  expect(keeper.holds(kept)).toBe(true);
  await store.settle(taken.id, taken.token, { type: "release" });
  broken.heartbeat = store.heartbeat;
  await keeper.beat();
  expect(lost).toEqual(["taken"]);
  expect((await store.sweep(10)).lost).toEqual([]);
});

it("a heartbeat that was answered late is followed by another soon: what it granted may be over", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const answer = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  let beats = 0;
  const { keeper, clock, leases } = await keep(1, {
    async heartbeat() {
      if (++beats === 1) await answer.promise;
      else again.resolve();
      return [];
    },
  });
  keeper.start();
  onTestFinished(() => keeper.stop());
  keeper.hold(leases[0]!, () => {});
  const beat = keeper.beat();
  clock.advance(LEASE_MS);
  answer.resolve();
  await beat;
  vi.advanceTimersByTime(1_000);
  await again.promise;
});

it("a look finds the requests that were cancelled, deleted or have expired, and no other", async () => {
  const { keeper, clock, store, leases } = await keep(4);
  const found: unknown[] = [];
  for (const [i, lease] of leases.entries()) keeper.hold(lease, (outcome) => found.push([i, outcome]));
  await store.finish(leases[0]!.id, CANCEL);
  await store.finish(leases[1]!.id, { type: "delete" });
  await store.expireBy(leases[2]!.id, clock.now());
  await keeper.look();
  await keeper.look();
  expect(found).toEqual([
    [0, "cancelled"],
    [1, "gone"],
    [2, "gone"],
  ]);
  expect(leases.map((lease) => keeper.holds(lease))).toEqual([false, false, false, true]);
});

it("the store's hint tells at once, until the keeper is stopped", async () => {
  const { keeper, store, leases } = await keep(2);
  const lost: unknown[] = [];
  for (const lease of leases) keeper.hold(lease, (outcome) => lost.push(outcome));
  keeper.start();
  await store.finish(leases[0]!.id, CANCEL);
  expect(lost).toEqual(["cancelled"]); // no timer has had its turn
  keeper.stop();
  await store.finish(leases[1]!.id, CANCEL);
  expect(lost).toEqual(["cancelled"]);
});

it("what a heartbeat finds of them is no lost lease either", async () => {
  const { keeper, store, leases } = await keep(2);
  const found: unknown[] = [];
  for (const lease of leases) keeper.hold(lease, (outcome) => found.push(outcome));
  await store.finish(leases[0]!.id, CANCEL);
  await store.settle(leases[1]!.id, leases[1]!.token, { type: "release" });
  await keeper.beat();
  expect(found).toEqual(["cancelled", undefined]);
});

it("a run's own end is no news for it, whoever tells", async () => {
  const { keeper, store, leases } = await keep(1);
  const lost: unknown[] = [];
  keeper.hold(leases[0]!, () => lost.push("lost"));
  keeper.settling(leases[0]!);
  const failure = { code: "model_error", message: "No words." } as const;
  await store.settle(leases[0]!.id, leases[0]!.token, { type: "fail", kind: "error", failure, inferenceMs: 1 });
  await keeper.look();
  await keeper.beat();
  expect(lost).toEqual([]);
});

it("a lease of the same request that is held still is lost", async () => {
  const { keeper, store, leases } = await keep(1);
  const lost: unknown[] = [];
  const [former] = leases as [Lease];
  keeper.hold(former, () => lost.push("former"));
  await store.settle(former.id, former.token, { type: "release" });
  const wish = { worker: "w", capacity: new Map([["mock", 1]]), leaseMs: LEASE_MS, durable: false };
  const [next] = (await store.lease(wish)) as [Lease];
  keeper.hold(next, () => lost.push("next"));
  expect(lost).toEqual(["former"]);
  keeper.drop(former);
  expect([keeper.holds(former), keeper.holds(next)]).toEqual([false, true]);
});

it.each([
  [
    "throws",
    () => {
      throw new Error("The store is being opened again.");
    },
  ],
  ["rejects", () => Promise.reject(new Error("The store does not answer."))],
])("a store that %s when it is looked at is asked again, and nothing is lost meanwhile", async (_, status) => {
  const broken: Partial<RequestStore> = { status };
  const { keeper, store, leases } = await keep(2, broken);
  const lost: unknown[] = [];
  for (const lease of leases) keeper.hold(lease, (outcome) => lost.push(outcome));
  await store.finish(leases[0]!.id, CANCEL);
  await keeper.look();
  expect(lost).toEqual([]);
  broken.status = (id) => Promise.resolve(store.status(id));
  await keeper.look();
  expect(lost).toEqual(["cancelled"]);
});

/** A keeper over a store with `count` leased requests. */
async function keep(count: number, broken: Partial<RequestStore> = {}) {
  const clock = manualClock();
  const store = memoryStore({ clock });
  const submission = submissionMaker(clock);
  for (let i = 0; i < count; i++) await store.enqueue(submission());
  const capacity = new Map([["mock", count]]);
  const leases = await store.lease({ worker: "w", capacity, leaseMs: LEASE_MS, durable: false });
  const heartbeat: RequestStore["heartbeat"] = (...held) => (broken.heartbeat ?? store.heartbeat)(...held);
  const between = { ...store, heartbeat, status: (id: string) => (broken.status ?? store.status)(id) };
  const keeper = new LeaseKeeper({ store: between, clock, leaseMs: LEASE_MS, log: silent });
  return { keeper, clock, store, leases };
}

async function write(file: { readonly path: string }): Promise<{ readonly path: string }> {
  await writeFile(file.path, "picture");
  return file;
}
