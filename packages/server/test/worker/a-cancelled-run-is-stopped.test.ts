/** A cancel ends the run of its request, whatever the run is at, and its place is free when it has really ended. */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { materialize } from "../../src/media/materialize.ts";
import { media } from "../../src/model/model.ts";
import { guardedFetch } from "../../src/net/guard.ts";
import type { Runner } from "../../src/runner/runner.ts";
import { isAlive, gone } from "../runner/processes.ts";
import { openRunner } from "../runner/open.ts";
import { aborted, finished, modelOf, openWorker, type Opened } from "./open.ts";

const CANCEL = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;
const PATIENT = { timeout: 20_000 };
const NOT_USED = modelOf(() => "not used");
/** The next heartbeat is ten seconds away, and the clock stands still: only the wake, or a look, can tell. */
const TOLD = { message: "the request has ended meanwhile; so does its run", outcome: "cancelled" };

describe.each([1, 2])("in a child process that takes %i at a time", (concurrency) => {
  it("a run that minds its signal ends, and the process lives on", async () => {
    await using unruly = await openRunner("unruly.ts", { concurrency });
    await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
    const before = await answer(opened, { do: "name the process" });
    const id = await begun(opened, { do: "wait" }, "waiting");
    const free = allFree(unruly.runner, concurrency);
    await opened.store.finish(id, CANCEL);
    await free;
    expect(await answer(opened, { do: "name the process" })).toBe(before);
    expect(await opened.store.get(id)).toMatchObject({ status: "FAILED", leases: 1, crashes: 0 });
    expect(opened.logged).toContainEqual({ request: id, model: "model", owner: "ada", attempt: 1, ...TOLD });
  });

  it.each([
    ["ignore", "ignoring"],
    ["ignore all", "deaf"],
    ["spin", "spinning"],
    ["block", "blocked"],
  ])("%s: the run is ended with its process, whose place is free only then", async (what, says) => {
    await using unruly = await openRunner("unruly.ts", { concurrency, graceMs: 20 });
    await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
    const pid = Number((await answer(opened, { do: "name the process" })).split(" ")[0]);
    const id = await begun(opened, { do: what }, says);
    const aliveWhenFree = allFree(unruly.runner, concurrency).then(() => isAlive(pid));
    await opened.store.finish(id, CANCEL);
    expect(await aliveWhenFree).toBe(false);
    expect(await answer(opened, { do: "name the process" })).not.toContain(`${pid} `);
    expect(await opened.store.get(id)).toMatchObject({ status: "FAILED", leases: 1, failure: { code: "cancelled" } });
  });

  it("what the model has started ends with it", async () => {
    await using unruly = await openRunner("unruly.ts", { concurrency, graceMs: 20 });
    await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
    const pids = join(unruly.scratch, "pids");
    const id = await begun(opened, { do: "start another", pids }, "started");
    await opened.store.finish(id, CANCEL);
    await gone(...readFileSync(pids, "utf8").split(" ").map(Number));
  });
});

it("a neighbour of a run that must be killed is tried again, as after any crash", async () => {
  await using unruly = await openRunner("unruly.ts", { graceMs: 20 });
  await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
  const neighbour = await begun(opened, { do: "wait" }, "waiting");
  await opened.store.finish(await begun(opened, { do: "ignore" }, "ignoring"), CANCEL);
  expect(await opened.until(neighbour, ({ status }) => status === "QUEUED")).toMatchObject({ crashes: 1 });
});

it("what a cancelled run wrote is deleted, its working directory too", async () => {
  const written = Promise.withResolvers<void>();
  await using opened = await openWorker(
    modelOf(async (_, { file, signal }) => {
      writeFileSync(file("half.png").path, "half");
      written.resolve();
      return await aborted(signal);
    }),
  );
  const id = await opened.submit();
  await opened.blobs.put(`${id}/0/${"a".repeat(32)}.png`, { bytes: Buffer.from("its input") });
  await written.promise;
  await opened.store.finish(id, CANCEL);
  await opened.worker.stop();
  expect(await opened.working()).toEqual([]);
  expect(await opened.files()).toEqual([`${id}/0`]); // for a retry, until it expires
});

it("a cancel while the output is stored leaves none of it", async () => {
  const [storing, stored] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using opened = await openWorker(
    modelOf(
      (_, { file }) => {
        writeFileSync(file("late.png").path, "late");
        return file("late.png");
      },
      { output: "image" },
    ),
    {
      wrapBlobs: (blobs) => ({
        ...blobs,
        async put(key, source) {
          storing.resolve();
          await stored.promise;
          return await blobs.put(key, source);
        },
      }),
    },
  );
  const id = await opened.submit();
  await storing.promise;
  await opened.store.finish(id, CANCEL);
  stored.resolve();
  await opened.worker.stop();
  expect(await opened.store.get(id)).toMatchObject({ status: "FAILED", failure: { code: "cancelled" }, result: null });
  expect(await opened.files()).toEqual([]);
  expect(await opened.working()).toEqual([]);
});

it("a cancel while an input is fetched ends the fetch, and the next request has the place", async () => {
  const connected = Promise.withResolvers<Socket>();
  await using site = createServer((socket) => connected.resolve(socket)).listen(0, "127.0.0.1");
  await once(site, "listening");
  const { port } = site.address() as { port: number };
  const fetcher = guardedFetch({ allowPrivate: true, timeoutMs: 60_000 });
  const model = modelOf(() => "fine", { input: { type: "object", properties: { image: media("image/*") } } });
  let opened: Opened | undefined;
  await using worker = await openWorker(model, {
    concurrency: 1,
    worker: {
      materialize: (input, schema, context) =>
        materialize(input, schema, { ...context, blobs: opened!.blobs, fetcher, limitBytes: 1_000 }),
    },
  });
  opened = worker;
  const id = await opened.submit({ image: { $media: { url: `http://127.0.0.1:${port}/never.png` } } });
  const socket = await connected.promise;
  const closed = once(socket, "close");
  socket.resume();
  await opened.store.finish(id, CANCEL);
  await closed;
  expect(await answer(opened, {})).toBe("fine");
  await opened.worker.stop();
  expect(await opened.working()).toEqual([]);
});

it("a cancel while a run waits to be alone takes it out, and its neighbour goes on", async () => {
  await using unruly = await openRunner("unruly.ts");
  await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
  const crashed = await opened.submit({ do: "exit" });
  await opened.until(crashed, ({ crashes }) => crashes === 1);
  const neighbour = await begun(opened, { do: "wait" }, "waiting");
  opened.clock.advance(1_000);
  await expect.poll(async () => (await opened.store.get(crashed))?.leases, PATIENT).toBe(2);
  await opened.store.finish(crashed, CANCEL);
  expect(await answer(opened, {})).toBe("fine"); // in the place that was kept for it
  expect(await opened.store.get(neighbour)).toMatchObject({ status: "PROCESSING", crashes: 0 });
  await opened.store.finish(neighbour, CANCEL);
});

it("a cancel between the lease and the run is found by looking: no hint comes twice", async () => {
  let cancelledOnce = false;
  await using opened = await openWorker(
    modelOf(({ wait }: { wait?: boolean }, { signal }) => (wait === true ? aborted(signal) : "fine")),
    {
      concurrency: 1,
      wrapStore: (store) => ({
        ...store,
        async lease(wish) {
          const leases = await store.lease(wish);
          if (leases.length > 0 && !cancelledOnce) cancelledOnce = await store.finish(leases[0]!.id, CANCEL);
          return leases;
        },
      }),
    },
  );
  const id = await opened.submit({ wait: true });
  expect(await answer(opened, {})).toBe("fine");
  expect(await opened.store.get(id)).toMatchObject({ status: "FAILED", leases: 1, failure: { code: "cancelled" } });
});

it("without any hint the run is told by looking, long before the next heartbeat", async () => {
  const running = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  await using opened = await openWorker(
    modelOf(async (_, { signal }) => {
      running.resolve();
      await aborted(signal).catch(() => stopped.resolve());
      return "late";
    }),
    { wrapStore: ({ onWake: _onWake, ...store }) => store },
  );
  const id = await opened.submit();
  await running.promise;
  await opened.store.finish(id, CANCEL);
  await stopped.promise;
  expect(opened.logged).toContainEqual(expect.objectContaining({ request: id, ...TOLD }));
});

it("hundreds of cancels at any moment leave each request one outcome, and all places free", async () => {
  await using unruly = await openRunner("unruly.ts");
  await using opened = await openWorker(NOT_USED, { runner: unruly.runner });
  const { store, submit, until } = opened;
  const outcomes = new Map<string, number>();
  store.onWake!((wake) => {
    if (wake.type === "finished") outcomes.set(wake.id, (outcomes.get(wake.id) ?? 0) + 1);
  });
  const requests = Array.from({ length: 300 }, async (_, i) => {
    const waits = i % 3 === 0; // such a run ends by its cancel only
    const id = await submit(waits ? { do: "wait" } : {});
    for (let turns = i % 50; turns > 0; turns--) await new Promise(setImmediate);
    const hasBegun = async (): Promise<boolean> => (await store.get(id))?.status !== "QUEUED";
    if (i % 2 === 0) await expect.poll(hasBegun, PATIENT).toBe(true);
    const cancelled = await store.finish(id, CANCEL);
    const { status, failure } = await until(id, finished);
    expect([status, failure?.code]).toEqual(cancelled ? ["FAILED", "cancelled"] : ["COMPLETED", undefined]);
  });
  await Promise.all(requests);
  await Promise.all([begun(opened, { do: "wait" }, "waiting"), begun(opened, { do: "wait" }, "waiting")]);
  expect([...outcomes.values()].filter((count) => count !== 1)).toEqual([]);
  expect(outcomes.size).toBe(300);
  await opened.worker.stop();
  expect(await opened.working()).toEqual([]);
});

/** Submits a request; answers its id once its run has said `line`. */
async function begun({ submit, logged }: Opened, input: object, line: string): Promise<string> {
  const id = await submit(input);
  const hasSaid = (): boolean => logged.some((log) => log["request"] === id && log["line"] === line);
  await expect.poll(hasSaid, PATIENT).toBe(true);
  return id;
}

/** Resolves when `runner`, which is busy, has all its places free again. */
async function allFree(runner: Runner, concurrency: number): Promise<void> {
  await new Promise<void>((resolve) => runner.onChange(() => runner.free === concurrency && resolve()));
}

/** The text that a request with this input is answered. */
async function answer(opened: Opened, input: object): Promise<string> {
  const { result } = await opened.until(await opened.submit(input), finished);
  return result?.kind === "text" && typeof result.text === "string" ? result.text : "no text";
}
