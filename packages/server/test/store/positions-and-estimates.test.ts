/** What this store tells of a request's way, beyond what the suite asks of every driver. */
import { beforeEach, expect, it, onTestFinished } from "vitest";
import type { Submission } from "../../src/core/request.ts";
import type { Lease, Outlook } from "../../src/store/store.ts";
import { type SqliteStore, sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { type ManualClock, manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";
import { fill } from "./fill.ts";

let path: string;
let clock: ManualClock;
let submission: (over?: Partial<Submission>) => Submission;
let store: SqliteStore;

beforeEach(async () => {
  path = directory();
  clock = manualClock();
  submission = submissionMaker(clock);
  store = await opened();
});

async function opened(): Promise<SqliteStore> {
  const store = await sqliteStore({ directory: path, clock });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
}

async function enqueue(over: Partial<Submission> = {}): Promise<string> {
  const asked = submission(over);
  await store.enqueue(asked);
  return asked.id;
}

async function lease(most = 1): Promise<Lease[]> {
  return await store.lease({ worker: "w1", capacity: new Map([["mock", most]]), leaseMs: 1e9, durable: true });
}

async function complete({ id, token }: Lease): Promise<void> {
  const result = { kind: "text", text: "Yes.", reasoning: null } as const;
  await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
}

/** Runs one request after the other, each for so many ms. */
async function ran(...lengths: readonly number[]): Promise<void> {
  for (const ms of lengths) {
    await enqueue();
    const [one] = await lease();
    clock.advance(ms);
    await complete(one!);
  }
}

/** Whether it waits or runs: the band in whole seconds. */
function seconds(id: string): readonly number[] | undefined {
  return store.outlook(id)?.remainingMs?.map((ms) => ms / 1000);
}

const position = (id: string): Outlook["position"] | undefined => store.outlook(id)?.position;

it("tells the true places again after a restart, and nothing before all are read", async () => {
  const ids = fill(path, 50_000, clock.now());
  await store[Symbol.asyncDispose]();
  store = await opened();
  expect(position(ids[9_999]!)).toBeUndefined();
  const [high, last] = [await enqueue({ priority: 1 }), await enqueue()];
  await store.loaded();
  expect([ids[0]!, ids[9_999]!, ids.at(-1)!].map(position)).toEqual([1, 10_000, 50_000]);
  expect([high, last].map(position)).toEqual([1, 50_002]);
  await lease(8); // the eighth is the oldest's: `high` and seven of the others
  expect([ids[9_999]!, last].map(position)).toEqual([9_993, 49_994]);
});

it("tells no more than before when runs are given back, or lost with the server", async () => {
  const ids = [await enqueue(), await enqueue(), await enqueue()];
  const [first] = await lease();
  expect(ids.map(position)).toEqual([null, 1, 2]);
  await store.settle(first!.id, first!.token, { type: "release" });
  expect(ids.map(position)).toEqual([1, 1, 2]);
  await lease();
  await store[Symbol.asyncDispose]();
  store = await opened();
  await store.loaded();
  expect(ids.map(position)).toEqual([1, 1, 2]);
});

it("tells at most how many wait when others before it were cancelled", async () => {
  const ids: string[] = [];
  while (ids.length < 1_000) ids.push(await enqueue());
  const failure = { code: "cancelled", message: "No." } as const;
  await Promise.all(ids.slice(100, 900).map((id) => store.finish(id, { type: "cancel", failure })));
  expect(position(ids[950]!)).toBe(200); // an upper bound: so many wait
  await lease(101);
  expect(position(ids[950]!)).toBe(50);
});

it("counts a request that came in after younger ones: it is leased before them", async () => {
  const older = submission(); // its body was still on its way while the next two were accepted
  const ids = [await enqueue(), await enqueue()];
  expect(ids.map(position)).toEqual([1, 2]);
  await store.enqueue(older);
  ids.push(await enqueue());
  expect(ids.map(position)).toEqual([1, 2, 4]);
  expect((await lease(2)).map(({ id }) => id)).toEqual([older.id, ids[0]]);
  expect(ids.map(position)).toEqual([null, 1, 2]);
});

it("estimates nothing before five runs were seen", async () => {
  await ran(1_000, 1_000, 1_000, 1_000);
  const id = await enqueue();
  expect(seconds(id)).toBeUndefined();
  const [other] = await lease();
  clock.advance(1_000);
  await complete(other!);
  expect(seconds(await enqueue())).toEqual([1, 1]);
});

it("estimates by the latest runs: between the short and the long ones of them", async () => {
  await ran(...Array.from({ length: 64 }, () => 60_000));
  expect(seconds(await enqueue())).toEqual([60, 60]);
  await complete((await lease())[0]!);
  await ran(...Array.from({ length: 8 }, () => [1, 2, 3, 4, 5, 6, 7, 8].map((s) => s * 1_000)).flat());
  expect(seconds(await enqueue())).toEqual([1, 8]);
});

it("estimates in rounds of as many as lately ran at once", async () => {
  await ran(10_000, 10_000, 10_000, 10_000);
  for (let i = 0; i < 4; i++) await enqueue();
  const four = await lease(4);
  clock.advance(10_000);
  await Promise.all(four.map(complete));
  const ids: string[] = [];
  while (ids.length < 9) ids.push(await enqueue());
  // Nothing runs, and four may: the first four start at once, the next four when these have ended.
  expect(ids.map(seconds)).toEqual([
    ...Array.from({ length: 4 }, () => [10, 10]),
    ...Array.from({ length: 4 }, () => [10, 20]),
    [20, 30],
  ]);
});

it("estimates what is left of a run, wider the longer it is over its time", async () => {
  await ran(2_000, 4_000, 6_000, 8_000, 10_000);
  const id = await enqueue();
  await lease();
  const told = [0, 1_000, 5_000, 8_000, 12_000].map((ms) => {
    clock.advance(ms);
    return seconds(id);
  });
  expect(told).toEqual([
    [2, 10],
    [1, 9],
    [0, 4],
    [0, 12],
    [0, 24],
  ]);
});

it("estimates no outcome before the next try may begin", async () => {
  await ran(1_000, 1_000, 1_000, 1_000, 1_000);
  const id = await enqueue();
  const [one] = await lease();
  const failure = { code: "model_error", message: "Later." } as const;
  const later = { type: "fail", kind: "retryable", failure, inferenceMs: 1, retryAfterMs: 30_000 } as const;
  await store.settle(id, one!.token, later);
  expect(seconds(id)).toEqual([31, 31]);
});
