/** What a stop, a kill and a disk that refuses leave of deliveries: exactly one for each outcome that is to be told. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { isFinished, type Webhook } from "../../src/core/request.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { breakFile, mended } from "./break-file.ts";
import { directory } from "./directory.ts";
import { storeProcess } from "./process.ts";

const webhook: Webhook = { url: "https://a.example/hook", events: ["completed", "failed"], body: "full" };
const told = { webhook, publicBase: "https://api.example" };
const wish = { worker: "w1", capacity: new Map([["mock", 1]]), leaseMs: 600_000, durable: true };
const text = { kind: "text", text: "Yes, a result.", reasoning: null } as const;
const complete = { type: "complete", result: text, inferenceMs: 1, hasFiles: false } as const;
const retryable = { type: "fail", kind: "retryable", failure: { code: "model_error", message: "No." }, inferenceMs: 1 } as const; // prettier-ignore

async function completeOne(store: SqliteStore): Promise<string> {
  const [lease] = await store.lease(wish);
  expect(await store.settle(lease!.id, lease!.token, complete)).toMatchObject({ ok: true });
  return lease!.id;
}

it("a stop: all are as they were, and due when they were", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const at = clock.now();
  const attempt = { at, tookMs: 2, status: 500, error: "No." };
  const ids: string[] = [];
  const all = (store: SqliteStore) => Promise.all(ids.map((id) => store.deliveries.get(id)));
  let before;
  {
    await using store = await sqliteStore({ directory: path, clock });
    for (let i = 0; i < 4; i++) {
      await store.enqueue(submission(told));
      ids.push(await completeOne(store));
    }
    await store.deliveries.mark(ids[1]!, { type: "retry", attempt, dueAt: at + 5_000 });
    await store.deliveries.mark(ids[2]!, { type: "failed", attempt });
    await store.deliveries.mark(ids[3]!, { type: "delivered", attempt: { ...attempt, status: 204, error: null } });
    before = await all(store);
  }
  await using store = await sqliteStore({ directory: path, clock });
  expect(store.deliveries.pending).toBe(2);
  expect(await all(store)).toEqual(before);
  expect(before.map((delivery) => delivery?.state)).toEqual(["pending", "pending", "failed", "delivered"]);
  expect(await store.deliveries.due("a.example", at + 4_999, 9)).toEqual([before[0]]);
  expect(await store.deliveries.due("a.example", at + 5_000, 9)).toEqual([before[0], before[1]]);
});

it("kill -9 in the middle of many outcomes: each has its one delivery, and nothing else has", async () => {
  const path = directory();
  const child = storeProcess(path, 32, { mode: "settle" });
  await child.line(() => child.lines.length > 500);
  await child.kill();

  await using store = await sqliteStore({ directory: path, clock: systemClock() });
  await store.loaded();
  const outcomes: string[] = [];
  let unfinished = 0;
  for (let next: string | null | undefined; next !== null;) {
    const page = await store.list({ owner: "alice", limit: 500, ...(next !== undefined && { before: next }) });
    for (const { id, status, finishedAt, failure } of page.requests) {
      const delivery = await store.deliveries.get(id);
      if (isFinished(status)) {
        outcomes.push(id);
        expect(delivery).toMatchObject({ state: "pending", tries: 0, outcome: { status, finishedAt, failure } });
      } else {
        unfinished++;
        expect(delivery).toBeUndefined();
      }
    }
    next = page.next;
  }
  expect(unfinished).toBeGreaterThan(0);
  const answered = child.lines.filter((line) => line !== "ready");
  expect(answered.filter((id) => !outcomes.includes(id))).toEqual([]);
  expect(store.deliveries.pending).toBe(outcomes.length);
});

it("a disk that refuses the delivery: the outcome has not happened either, and does the next time", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const [first, second] = [submission(told), submission(told)];
  await using store = await sqliteStore({ directory: path, clock });
  for (const asked of [first, second]) await store.enqueue(asked);
  await completeOne(store);
  const heard: string[] = [];
  store.deliveries.onDue((id) => heard.push(id));
  const [lease] = await store.lease(wish);

  const mend = breakFile(path, "deliveries");
  await expect(store.settle(second.id, lease!.token, complete)).rejects.toThrow("does not work now");
  mend();
  await mended(store);
  expect(store.status(second.id)).toMatchObject({ status: "PROCESSING" });
  expect(await store.deliveries.get(second.id)).toBeUndefined();
  expect(store.deliveries.pending).toBe(1);
  expect(heard).toEqual([]);

  expect(await store.settle(second.id, lease!.token, complete)).toMatchObject({ ok: true });
  expect(await store.deliveries.get(second.id)).toMatchObject({ state: "pending" });
  expect(store.deliveries.pending).toBe(2);
  expect(heard).toEqual([second.id]);
});

it("expiry: of all that a request was, nothing but its unsent delivery is left in the file", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  await using store = await sqliteStore({ directory: path, clock });
  const next = (): Promise<unknown> => store.enqueue(submission(told));
  const attempt = () => ({ at: clock.now(), tookMs: 2, status: 204, error: null });

  await next();
  const delivered = await completeOne(store);
  await store.deliveries.mark(delivered, { type: "delivered", attempt: attempt() });
  await next();
  const again = (await store.lease(wish))[0]!;
  await store.settle(again.id, again.token, retryable);
  clock.advance(1_000);
  const unsent = await completeOne(store);
  expect(unsent).toBe(again.id);
  await next();
  const givenUp = await completeOne(store);
  await store.deliveries.mark(givenUp, { type: "failed", attempt: attempt() });
  await next();
  const running = (await store.lease(wish))[0]!;
  await store.settle(running.id, running.token, retryable); // it waits for its second try
  await store.enqueue(submission({ input: { json: '{"prompt":"nobody is told of"}' } }));

  clock.advance(3_600_000);
  for (const { id } of (await store.sweep(10)).expired) await store.finish(id, { type: "expire" });
  using file = new DatabaseSync(join(path, "inferq.db"), { readOnly: true });
  const rows = (table: string): number => Number(file.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n);
  const counts = (): number[] => ["requests", "inputs", "past_attempts", "deliveries", "results"].map(rows);
  expect(counts()).toEqual([0, 0, 0, 3, 2]);
  expect(await store.deliveries.get(running.id)).toMatchObject({ outcome: { failure: { code: "expired" } } });
  expect(await store.deliveries.get(unsent)).toMatchObject({ outcome: { result: text } });

  // Nor is anything left of those, once they are sent or forgotten.
  for (const id of [unsent, running.id]) await store.deliveries.mark(id, { type: "delivered", attempt: attempt() });
  expect(counts()).toEqual([0, 0, 0, 1, 1]);
  await store.deliveries.giveUp(0, clock.now(), 10);
  expect(counts()).toEqual([0, 0, 0, 0, 0]);
});
