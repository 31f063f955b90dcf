import { expect, it } from "vitest";
import type { LeaseWish, RequestStore } from "../../src/store/store.ts";
import { finished, modelOf, openWorker } from "./open.ts";

const FOREVER = 1_000_000;

it("by polling alone, where the store pushes nothing", async () => {
  await using opened = await openWorker(
    modelOf(() => "found"),
    {
      wrapStore: (store) => {
        const silent = { ...store };
        delete silent.onWake;
        return silent;
      },
    },
  );
  expect(await opened.until(await opened.submit(), finished)).toMatchObject({ status: "COMPLETED" });
});

it("by a wake-up, long before the next poll", async () => {
  await using opened = await openWorker(
    modelOf(() => "found"),
    { worker: { pollMs: FOREVER } },
  );
  expect(await opened.until(await opened.submit(), finished)).toMatchObject({ status: "COMPLETED" });
});

it("when a place becomes free, with no poll and no wake-up", async () => {
  await using opened = await openWorker(
    modelOf(() => "found"),
    { concurrency: 1, worker: { pollMs: FOREVER } },
  );
  const ids = await Promise.all(Array.from({ length: 20 }, () => opened.submit()));
  for (const id of ids) await opened.until(id, finished);
});

it("though the wake-up comes while the worker is asking; and it never asks twice at once", async () => {
  const wishes: LeaseWish[] = [];
  let asking = 0;
  let most = 0;
  const firstAnswer = Promise.withResolvers<void>();
  function watched(store: RequestStore): RequestStore {
    return {
      ...store,
      async lease(wish) {
        wishes.push(wish);
        most = Math.max(most, ++asking);
        const leases = await store.lease(wish); // looks before the request is there
        if (wishes.length === 1) await firstAnswer.promise;
        asking -= 1;
        return leases;
      },
    };
  }
  await using opened = await openWorker(
    modelOf(() => "found"),
    { worker: { pollMs: FOREVER }, wrapStore: watched },
  );
  await expect.poll(() => wishes.length).toBe(1);
  const id = await opened.submit();
  firstAnswer.resolve();
  await opened.until(id, finished);
  expect(most).toBe(1);
});

it("never more at once than there are places", async () => {
  let running = 0;
  let most = 0;
  await using opened = await openWorker(
    modelOf(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return "found";
    }),
    {
      concurrency: 3,
      worker: { materialize: async (input) => new Promise((resolve) => setImmediate(resolve, input)) },
    },
  );
  const ids = await Promise.all(Array.from({ length: 30 }, () => opened.submit()));
  for (const id of ids) expect((await opened.until(id, finished)).leases).toBe(1);
  expect(most).toBe(3);
});

it("though the wake-up comes in the breath in which an ask ends", async () => {
  let enqueueAfter: ((ticks: number) => Promise<void>) | undefined;
  let ticks = 0;
  await using opened = await openWorker(
    modelOf(() => "found"),
    {
      worker: { pollMs: FOREVER },
      wrapStore: (store) => ({
        ...store,
        async lease(wish) {
          const leases = await store.lease(wish);
          void enqueueAfter?.(ticks);
          enqueueAfter = undefined;
          return leases;
        },
      }),
    },
  );
  const { clock, submit, until } = opened;
  for (; ticks < 12; ticks += 1) {
    const late = Promise.withResolvers<string>();
    enqueueAfter = async (ticks) => {
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      late.resolve(await submit());
    };
    await submit({}, { notBefore: clock.now() + FOREVER }); // makes the worker ask, and find nothing
    await until(await late.promise, finished);
    await new Promise(setImmediate);
  }
});
