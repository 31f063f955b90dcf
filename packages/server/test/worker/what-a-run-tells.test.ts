/** What a model tells while it runs can be read in the event log, while its lease holds, and costs the run nothing. */
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import type { RunContext } from "../../src/model/model.ts";
import { startGuard } from "../../src/runner/guard.ts";
import { processRunner } from "../../src/runner/process.ts";
import type { EventLog, RunEvent } from "../../src/store/events.ts";
import { started } from "../../src/testing/start.ts";
import { aborted, finished, LEASE_MS, modelOf, openWorker, type Opened } from "./open.ts";

const MB = 1024 * 1024;

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

type Told = RunContext<unknown>;

/** A run that tells something and then waits to be let go on. */
function telling(tell: (context: Told) => void, output: "text" | "image" = "text") {
  const told = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const model = modelOf(
    async (_, context) => {
      tell(context);
      await new Promise((resolve) => setImmediate(resolve)); // what was told in one turn is passed on in the next
      told.resolve();
      await goOn.promise;
      return "all of it";
    },
    { output },
  );
  return { model, told: told.promise, goOn: goOn.resolve };
}

it("lines, progress and the text so far, while it runs and after it", async () => {
  const { model, told, goOn } = telling(({ log, progress, partial }) => {
    log("loading");
    progress(0.25);
    partial("all ");
    partial("of");
  });
  await using opened = await openWorker(model);
  const { events } = opened.store;
  const id = await opened.submit();
  await told;
  expect(await events.output(id)).toBe("all of");
  const expected = {
    attempt: 1,
    events: [{ event: { type: "log", message: "loading" } }, { event: { type: "progress", fraction: 0.25 } }],
    output: { at: 0, text: "all of" },
  };
  expect(await events.read(id, null)).toMatchObject(expected);
  goOn();
  await opened.until(id, finished);
  expect(await events.output(id)).toBeUndefined();
  expect(await events.read(id, null)).toMatchObject(expected);
});

it("but no text of a picture", async () => {
  const { model, told, goOn } = telling(({ log, partial }) => (log("drawing"), partial("told by mistake")), "image");
  await using opened = await openWorker(model);
  const id = await opened.submit();
  await told;
  expect(await opened.store.events.read(id, null)).toMatchObject({ events: [{ seq: 1 }], output: null });
  goOn();
});

it("of progress that is told for every pixel some steps, the last one among them", async () => {
  const steps = 100_000;
  const model = modelOf((_, { progress }) => {
    for (let step = 1; step <= steps; step++) progress(step / steps);
    return "done";
  });
  await using opened = await openWorker(model);
  const appended = watch(opened.store.events);
  const id = await opened.submit();
  await opened.until(id, finished);
  expect(appended.count()).toBeLessThan(steps / 100);
  expect(await opened.store.events.read(id, null)).toMatchObject({ events: [{ event: { fraction: 1 } }] });
});

it("anew with each attempt", async () => {
  let attempts = 0;
  const second = Promise.withResolvers<void>();
  const model = modelOf(async (_, { partial, log, signal }) => {
    partial(`attempt ${++attempts}`);
    log(`attempt ${attempts}`);
    if (attempts === 1) throw Object.assign(new Error("Later."), { name: "Retryable", afterMs: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    second.resolve();
    return await aborted(signal);
  });
  await using opened = await openWorker(model);
  const id = await opened.submit();
  await second.promise;
  expect(await opened.store.events.read(id, null)).toMatchObject({
    attempt: 2,
    events: [{ seq: 1, event: { message: "attempt 2" } }],
    output: { at: 0, text: "attempt 2" },
  });
});

it("nothing any more when its lease is lost, though the model talks on", async () => {
  const talk = Promise.withResolvers<void>();
  const runs = { told: Promise.withResolvers<void>(), ended: Promise.withResolvers<void>() };
  const model = modelOf(async (_, { partial, log, progress }) => {
    partial("before");
    await new Promise((resolve) => setImmediate(resolve));
    runs.told.resolve();
    await talk.promise;
    for (let i = 0; i < 10; i++) {
      partial(" and after");
      log("after");
      progress(0.9);
      await new Promise((resolve) => setImmediate(resolve));
    }
    runs.ended.resolve();
    return "late";
  });
  await using opened = await openWorker(model);
  const { store, clock } = opened;
  const id = await opened.submit();
  await runs.told.promise;
  const stopped = opened.worker.stop(); // else it may take the request again itself
  clock.advance(LEASE_MS);
  await store.sweep(10);
  talk.resolve();
  await runs.ended.promise;
  expect(await store.events.read(id, null)).toMatchObject({ events: [], output: { at: 0, text: "before" } });
  expect(await store.events.output(id)).toBeUndefined();
  await stopped;
});

it.each<[string, EventLog["append"]]>([
  ["throws", () => thrown(new Error("no memory"))],
  ["rejects", () => Promise.reject(new Error("no connection"))],
])("a log that %s disturbs no run, and that is said once", async (_, append) => {
  const model = modelOf(async (_input, { log, progress, partial }) => {
    for (let i = 0; i < 100; i++) {
      log("a line");
      progress(i / 100);
      partial("a piece");
      await new Promise((resolve) => setImmediate(resolve));
    }
    return "done";
  });
  await using opened = await openWorker(model, { worker: { events: { append } } });
  const id = await opened.submit();
  expect(await opened.until(id, finished)).toMatchObject({ status: "COMPLETED", result: { text: "done" } });
  expect(opened.logged.filter(({ message }) => message === "what a run tells cannot be passed on")).toHaveLength(1);
});

it("each its own, of a thousand at once", async () => {
  const count = 1_000;
  let running = 0;
  const all = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const model = modelOf(async ({ name }: { readonly name: string }, { log, partial }) => {
    log(name);
    partial(`I am ${name}`);
    await new Promise((resolve) => setImmediate(resolve));
    if (++running === count) all.resolve();
    await goOn.promise;
    return name;
  });
  await using opened = await openWorker(model, { concurrency: count });
  const ids = await Promise.all(Array.from({ length: count }, (_, i) => opened.submit({ name: `run ${i}` })));
  await all.promise;
  for (const [i, id] of ids.entries()) {
    const [log, output]: RunEvent[] = [
      { type: "log", message: `run ${i}` },
      { type: "output", text: `I am run ${i}` },
    ];
    const page = await opened.store.events.read(id, null);
    expect(page).toMatchObject({ events: [{ event: log }], output: { text: (output as { text: string }).text } });
  }
  goOn.resolve();
  for (const id of ids) await opened.until(id, finished);
});

it("no more than fits, though a model in a process of its own tells 100 MB: the server does not grow", async () => {
  await using opened = await talkative();
  const before = heldBytes();
  const id = await opened.submit({ do: "tell 100 MB" });
  expect(await opened.until(id, finished)).toMatchObject({ status: "COMPLETED", result: { text: "told" } });
  const page = await opened.store.events.read(id, null);
  expect(page?.output?.text).toHaveLength(MB);
  const lines = page!.events.flatMap(({ event }) => (event.type === "log" ? [event.message] : []));
  expect(lines.at(-1)).toMatch(/^last x+$/);
  expect(lines.join("").length).toBeLessThanOrEqual(MB / 4);
  expect(heldBytes() - before).toBeLessThan(10 * MB);
});

it("what it has told until its process is killed; the next attempt begins anew", async () => {
  await using opened = await talkative();
  const { events } = opened.store;
  const lengths: number[] = [];
  const heard = Promise.withResolvers<void>();
  events.onAppend((id) => {
    const output = events.output(id) as string | undefined;
    if (output !== undefined) lengths.push(output.length);
    if (lengths.length === 5) heard.resolve();
  });
  const id = await opened.submit({ do: "talk until killed" });
  await heard.promise;
  const [pid] = ((await events.output(id)) as string).split(" ");
  const crashed = opened.until(id, ({ crashes }) => crashes === 1);
  process.kill(Number(pid), "SIGKILL");
  expect(await crashed).toMatchObject({ status: "QUEUED" });
  expect(await events.output(id)).toBeUndefined();
  const told = await events.read(id, null);
  expect(told?.output?.text).toMatch(/^\d+ (on and )+/);
  opened.clock.advance(1_000);
  const again = await opened.until(id, ({ leases }) => leases === 2);
  await expect.poll(async () => (await events.read(again.id, null))?.attempt).toBe(2);
  expect((await events.read(id, told!.next))?.output?.at).toBe(0);
});

/** A worker whose model runs in a process of its own. */
async function talkative(): Promise<Opened> {
  const guard = startGuard(() => {});
  const module = join(import.meta.dirname, "../runner/models/talkative.ts");
  const runner = await started(processRunner({ module, concurrency: 1, guard, marker: "test", backoffMs: 1 }));
  const opened = await openWorker(
    modelOf(() => ""),
    { runner, worker: { log: SILENT } }, // the usual one keeps every line
  );
  return {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await guard[Symbol.asyncDispose]();
    },
  };
}

/** Counts what is told from now on. */
function watch(events: EventLog): { readonly count: () => number } {
  let count = 0;
  events.onAppend(() => count++);
  return { count: () => count };
}

/** What is held in memory, all that nobody needs being collected. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function thrown(error: Error): never {
  throw error;
}
