import { writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import { LeaseKeeper } from "../../src/worker/lease-keeper.ts";
import { finished, LEASE_MS, modelOf, openWorker } from "./open.ts";

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

it("leases that cannot be extended in time are given up, though no answer said so", async () => {
  const { keeper, clock, leases } = await keep(1, { heartbeat: () => Promise.reject(new Error("The disk is gone.")) });
  const lost: string[] = [];
  keeper.hold(leases[0]!, () => lost.push("lost"));
  await keeper.beat();
  clock.advance(LEASE_MS - 1);
  await keeper.beat();
  expect(lost).toEqual([]);
  expect(keeper.holds(leases[0]!)).toBe(true);
  clock.advance(1);
  expect(keeper.holds(leases[0]!)).toBe(false); // also when nothing beats any more
  await keeper.beat();
  expect(lost).toEqual(["lost"]);
  expect(keeper.holds(leases[0]!)).toBe(false);
});

/** A keeper over a store with `count` leased requests. */
async function keep(count: number, broken: Partial<RequestStore> = {}) {
  const clock = manualClock();
  const store = memoryStore({ clock });
  const submission = submissionMaker(clock);
  for (let i = 0; i < count; i++) await store.enqueue(submission());
  const capacity = new Map([["mock", count]]);
  const leases = await store.lease({ worker: "w", capacity, leaseMs: LEASE_MS, durable: false });
  const keeper = new LeaseKeeper({ store: { ...store, ...broken }, clock, leaseMs: LEASE_MS, log: silent });
  return { keeper, clock, store, leases };
}

async function write(file: { readonly path: string }): Promise<{ readonly path: string }> {
  await writeFile(file.path, "picture");
  return file;
}
