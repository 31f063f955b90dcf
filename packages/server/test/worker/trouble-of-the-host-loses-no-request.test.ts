import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import type { ModelDefinition } from "../../src/model/model.ts";
import { NEVER, openRunner } from "../runner/open.ts";
import { aborted, finished, modelOf, openWorker } from "./open.ts";

const picture: ModelDefinition = modelOf(
  async (_, { file }) => {
    const output = file("a.png");
    await writeFile(output.path, "picture");
    return output;
  },
  { output: "image" },
);

function diskError(code: string, syscall = "write"): Error {
  return Object.assign(new Error(`${code}: it does not work, ${syscall}`), { code, syscall });
}

it("a full disk: what a run has made is kept until there is room for it, and nothing further is leased", async () => {
  const refused = Promise.withResolvers<void>();
  let full = true;
  let runs = 0;
  const made = modelOf(
    async (_, { file }) => {
      runs += 1;
      const output = file("a.png");
      await writeFile(output.path, "picture");
      return output;
    },
    { output: "image" },
  );
  await using opened = await openWorker(made, {
    concurrency: 1,
    wrapBlobs: (blobs) => ({
      ...blobs,
      put: async (key, source) => {
        if (!full) return await blobs.put(key, source);
        refused.resolve();
        throw diskError("ENOSPC");
      },
    }),
  });
  const { store, submit, until, logged } = opened;
  const id = await submit();
  await refused.promise;
  const next = await submit();
  for (let i = 0; i < 20; i++) await turn();
  expect(await store.get(id)).toMatchObject({ status: "PROCESSING", leases: 1 });
  expect(await store.get(next)).toMatchObject({ status: "QUEUED", leases: 0 });
  expect(logged.filter(({ err }) => String(err).includes("ENOSPC"))).toHaveLength(1);
  full = false;
  expect(await until(id, finished)).toMatchObject({ status: "COMPLETED", attempts: 1, leases: 1 });
  expect(await until(next, finished)).toMatchObject({ status: "COMPLETED", attempts: 1, leases: 1 });
  expect(runs).toBe(2);
});

it("what an fsync refused is not asked again: the run is made once more, its attempt unspent", async () => {
  let refusals = 1;
  await using opened = await openWorker(picture, {
    wrapBlobs: (blobs) => ({
      ...blobs,
      put: (key, source) => (refusals-- > 0 ? Promise.reject(diskError("ENOSPC", "fsync")) : blobs.put(key, source)),
    }),
  });
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({ status: "COMPLETED", attempts: 1, leases: 2 });
});

it("a stop gives back what could not be stored", async () => {
  const refused = Promise.withResolvers<void>();
  await using opened = await openWorker(picture, {
    wrapBlobs: (blobs) => ({
      ...blobs,
      put: () => {
        refused.resolve();
        return Promise.reject(diskError("EROFS", "open"));
      },
    }),
  });
  const id = await opened.submit();
  await refused.promise;
  await opened.worker.stop();
  expect(await opened.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0, leases: 1 });
});

it("a model that finds no room on a full disk is tried again when there is some, its attempt unspent", async () => {
  let full = true;
  const asked: boolean[] = [];
  const writer = modelOf(() => {
    asked.push(full);
    if (!full) return "there was room";
    full = false;
    throw diskError("ENOSPC");
  });
  let seenFull = true;
  const isDiskFull = (): Promise<boolean> => Promise.resolve(seenFull && !(seenFull = false));
  await using opened = await openWorker(writer, { worker: { isDiskFull } });
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({ status: "COMPLETED", attempts: 1, leases: 2 });
  expect(asked).toEqual([true, false]);
});

it("a request that fills the disk by itself fails after its tries: when what it wrote is gone, there is room", async () => {
  let huge = "";
  const filler = modelOf(
    async (_, { file }) => {
      huge = file("huge.png").path;
      await writeFile(huge, "as much as there is room for");
      throw diskError("ENOSPC");
    },
    { output: "image" },
  );
  await using opened = await openWorker(filler, { worker: { isDiskFull: () => Promise.resolve(existsSync(huge)) } });
  const id = await opened.submit();
  const request = await opened.until(id, (now) => {
    if (now.notBefore > opened.clock.now()) opened.clock.advance(5_000);
    return now.leases > 3 || finished(now);
  });
  expect(request).toMatchObject({ status: "FAILED", attempts: 3, failure: { code: "retries_exhausted" } });
});

it("so does one whose inputs fill the disk", async () => {
  let huge = "";
  await using opened = await openWorker(picture, {
    worker: {
      isDiskFull: () => Promise.resolve(existsSync(huge)),
      materialize: async (_, __, { directory }) => {
        await mkdir(directory, { recursive: true });
        huge = join(directory, "input");
        await writeFile(huge, "as much as there is room for");
        throw diskError("ENOSPC");
      },
    },
  });
  const request = await opened.until(await opened.submit(), (now) => {
    if (now.notBefore > opened.clock.now()) opened.clock.advance(5_000);
    return now.leases > 3 || finished(now);
  });
  expect(request).toMatchObject({ status: "FAILED", attempts: 3, failure: { code: "internal" } });
});

it("a model that finds no room where the disk has some fails after its tries", async () => {
  await using opened = await openWorker(modelOf(() => Promise.reject(diskError("ENOSPC"))));
  const id = await opened.submit();
  await opened.until(id, ({ attempts }) => attempts === 1);
  opened.clock.advance(1_000);
  await opened.until(id, ({ attempts }) => attempts === 2);
  opened.clock.advance(5_000);
  expect(await opened.until(id, finished)).toMatchObject({ status: "FAILED", failure: { code: "retries_exhausted" } });
});

it("what cannot be explained is tried again a few times, and then fails without telling the client what it was", async () => {
  await using opened = await openWorker(picture, {
    wrapBlobs: (blobs) => ({ ...blobs, put: () => Promise.reject(new TypeError("a secret path")) }),
  });
  const { clock, submit, until, files } = opened;
  const id = await submit();
  await until(id, ({ attempts }) => attempts === 1);
  clock.advance(1_000);
  await until(id, ({ attempts }) => attempts === 2);
  clock.advance(5_000);
  const { failure } = await until(id, finished);
  expect(failure?.code).toBe("internal");
  expect(failure?.message).not.toContain("secret");
  expect(await files()).toEqual([]);
});

it("a store that stumbles at the settlement: it is tried again while the lease holds", async () => {
  let stumbles = 2;
  await using opened = await openWorker(picture, {
    wrapStore: (store) => ({
      ...store,
      settle: async (...settlement) => {
        if (stumbles-- > 0) throw new InferqError("store_unavailable");
        return await store.settle(...settlement);
      },
    }),
  });
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({ status: "COMPLETED", attempts: 1, leases: 1 });
});

it("a result that the store cannot take fails its request at once, and its files go", async () => {
  const asked: string[] = [];
  await using opened = await openWorker(picture, {
    wrapStore: (store) => ({
      ...store,
      settle: async (id, token, settlement) => {
        asked.push(settlement.type);
        if (settlement.type === "complete") throw new Error("string or blob too big");
        return await store.settle(id, token, settlement);
      },
    }),
  });
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({ status: "FAILED", attempts: 1, failure: { code: "internal" } });
  expect(asked).toEqual(["complete", "fail"]);
  await opened.worker.stop();
  expect(await opened.files()).toEqual([]);
});

it("a store that cannot take a request's failure either is left alone, and the lease runs out", async () => {
  let tries = 0;
  await using opened = await openWorker(picture, {
    wrapStore: (store) => ({
      ...store,
      settle: () => Promise.reject(new Error(`damaged ${++tries}`)),
    }),
  });
  const id = await opened.submit();
  await expect.poll(() => tries).toBe(2);
  await opened.worker.stop();
  expect(await opened.store.get(id)).toMatchObject({ status: "PROCESSING" });
  expect(tries).toBe(2);
});

it("a disk that is slow to take results slows the leasing down, and the memory does not fill", async () => {
  const mended = Promise.withResolvers<void>();
  let storing = 0;
  const text = modelOf(() => "x".repeat(65 * 1_024)); // too long for its row: a file that no model writes
  await using opened = await openWorker(text, {
    worker: { pollMs: 60_000 }, // once the disk is quick again nothing else may be needed to go on
    wrapBlobs: (blobs) => ({
      ...blobs,
      put: async (key) => {
        storing += 1;
        await mended.promise;
        return { key, size: 7, modifiedAt: 0, etag: '""' };
      },
    }),
  });
  for (let i = 0; i < 1_200; i++) await opened.submit();
  for (let before = -1; before < storing;) {
    before = storing;
    for (let i = 0; i < 100; i++) await turn(); // nothing here waits for anything but the next turn
  }
  expect(storing).toBeGreaterThanOrEqual(1_024);
  expect(storing).toBeLessThan(1_024 + 4);
  expect(opened.store.stats().models.get("model")).toMatchObject({ queued: 1_200 - storing, processing: storing });
  mended.resolve();
  await expect.poll(() => opened.store.stats().models.size, { timeout: 10_000 }).toBe(0);
}, 30_000);

it("a settlement that was written though its answer was lost keeps its files", async () => {
  let lost = false;
  await using opened = await openWorker(picture, {
    wrapStore: (store) => ({
      ...store,
      settle: async (...settlement) => {
        const answer = await store.settle(...settlement);
        if (lost) return answer;
        lost = true;
        throw new InferqError("store_unavailable");
      },
    }),
  });
  const id = await opened.submit();
  await opened.until(id, finished);
  await expect.poll(() => opened.logged.some(({ refusal }) => refusal === "finished")).toBe(true);
  await opened.worker.stop();
  expect(await opened.files()).toEqual([`${id}/1`]);
});

it("a stop while the store stumbles waits between its tries", async () => {
  const running = Promise.withResolvers<void>();
  let mended = false;
  let tries = 0;
  await using opened = await openWorker(
    modelOf((_, { signal }) => {
      running.resolve();
      return aborted(signal);
    }),
    {
      wrapStore: (store) => ({
        ...store,
        settle: async (...settlement) => {
          if (tries === 0) setTimeout(() => (mended = true), 1);
          if (++tries < 1_000 && !mended) throw new InferqError("store_unavailable");
          return await store.settle(...settlement);
        },
      }),
    },
  );
  const id = await opened.submit();
  await running.promise;
  await opened.worker.stop();
  expect(await opened.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0 });
  expect(tries).toBe(2);
});

it("a store that cannot lease is asked again", async () => {
  let stumbles = 2;
  await using opened = await openWorker(picture, {
    wrapStore: (store) => ({
      ...store,
      lease: async (wish) => {
        if (stumbles-- > 0) throw new InferqError("store_unavailable");
        return await store.lease(wish);
      },
    }),
  });
  expect(await opened.until(await opened.submit(), finished)).toMatchObject({ status: "COMPLETED" });
});

it("a process that dies while the input is made ready costs the request nothing", async () => {
  await using unruly = await openRunner("unruly.ts", { backoffMs: 100 });
  await using opened = await openWorker(picture, {
    runner: unruly.runner,
    worker: {
      materialize: async (input) => {
        if (unruly.runner.free === 2) await unruly.runner.run(unruly.run({ do: "exit" }), { signal: NEVER });
        return { ...input };
      },
    },
  });
  const id = await opened.submit({});
  await opened.until(id, ({ status, leases }) => status === "QUEUED" && leases === 1);
  expect(await opened.store.get(id)).toMatchObject({ attempts: 0, crashes: 0 });
});
