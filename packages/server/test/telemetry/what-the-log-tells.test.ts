/** The store, observed: one line and one count for each thing that happens to a request, with its id and its key's owner. */
import { tmpdir } from "node:os";
import { pino } from "pino";
import { expect, test } from "vitest";
import { memoryStore } from "../../src/store/memory.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import { type Metrics, metrics as makeMetrics } from "../../src/telemetry/metrics.ts";
import { tracedStore } from "../../src/telemetry/traced-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";

interface Observed {
  readonly store: RequestStore;
  readonly metrics: Metrics;
  readonly advance: (ms: number) => void;
  /** Enqueues a request with a private input; answers its id. */
  readonly enqueue: (over?: { startDeadline?: number }) => Promise<string>;
  readonly lease: () => Promise<Lease>;
  /** All lines so far, without what every line has. */
  readonly lines: () => Record<string, unknown>[];
}

function observed(level = "info", over: Partial<RequestStore> = {}): Observed {
  const clock = manualClock();
  const written: string[] = [];
  const logger = pino({ level, base: null }, { write: (line: string) => void written.push(line) });
  const plain = memoryStore({ clock });
  const metrics = makeMetrics({ store: plain, deliveries: plain.deliveries, clock, dataDirectory: tmpdir() });
  const store = tracedStore({ ...plain, ...over }, { logger, metrics });
  const submission = submissionMaker(clock);
  return {
    store,
    metrics,
    advance: (ms) => clock.advance(ms),
    async enqueue({ startDeadline } = {}) {
      const deadline = startDeadline === undefined ? null : clock.now() + startDeadline;
      const request = submission({ input: { json: '{"text":"a secret"}' }, startDeadline: deadline });
      await store.enqueue(request);
      return request.id;
    },
    async lease() {
      const wish = { worker: "w", capacity: new Map([["mock", 1]]), leaseMs: 1_000, durable: false };
      const [lease] = await store.lease(wish);
      return lease!;
    },
    lines: () =>
      written.map((line) => {
        const { time: _time, level: _level, ...fields } = JSON.parse(line) as Record<string, unknown>;
        return fields;
      }),
  };
}

const RESULT = { kind: "text", text: "a secret", reasoning: null } as const;
const COMPLETE = { type: "complete", result: RESULT, inferenceMs: 5.4, hasFiles: false } as const;
const FAILURE = { code: "model_error", message: 'No words in "a secret".' } as const;
const OWNED = { owner: "alice", model: "mock" } as const;

test.each([
  [
    "at once",
    () => {
      throw new Error("The disk is gone.");
    },
  ],
  ["later", () => Promise.reject(new Error("The disk is gone."))],
])("a write whose outcome cannot be read %s has happened all the same", async (_, status) => {
  const { store, enqueue, lease, lines } = observed("info", { status });
  const id = await enqueue();
  const { token } = await lease();
  expect(await store.settle(id, token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
  await expect.poll(lines).toMatchObject([{ request: id, msg: "an outcome could not be told" }]);
});

test("an outcome is one line, and one count by its model and code; nobody's words are in it", async () => {
  const { store, metrics, enqueue, lease, lines } = observed();
  const ids = [await enqueue(), await enqueue(), await enqueue()];
  const [first, second] = [await lease(), await lease()];
  await store.settle(first.id, first.token, COMPLETE);
  await store.settle(second.id, second.token, { type: "fail", kind: "error", failure: FAILURE, inferenceMs: 5 });
  const cancelled = { code: "cancelled", message: "The request was cancelled." } as const;
  await store.finish(ids[2]!, { type: "cancel", failure: cancelled });

  expect(lines()).toEqual([
    { request: ids[0], ...OWNED, attempt: 1, inferenceMs: 5, msg: "request completed" },
    { request: ids[1], ...OWNED, attempt: 1, code: "model_error", msg: "request failed" },
    { request: ids[2], ...OWNED, attempt: 0, code: "cancelled", msg: "request cancelled" },
  ]);
  const figures = await metrics.render();
  expect(figures).toContain('inferq_requests_accepted_total{model="mock"} 3');
  for (const outcome of ["COMPLETED", "model_error", "cancelled"]) {
    expect(figures).toContain(`inferq_requests_finished_total{model="mock",outcome="${outcome}"} 1`);
  }
});

test("at the level debug a failure's sentence is told too, and a lease", async () => {
  const { store, enqueue, lease, lines } = observed("debug");
  const id = await enqueue();
  const { token } = await lease();
  await store.settle(id, token, { type: "fail", kind: "error", failure: FAILURE, inferenceMs: 5 });
  expect(lines()).toEqual([
    { request: id, ...OWNED, attempt: 1, msg: "request leased" },
    { request: id, ...OWNED, attempt: 1, code: "model_error", reason: FAILURE.message, msg: "request failed" },
  ]);
});

test("an attempt that crashed and one given back are no outcomes", async () => {
  const { store, metrics, enqueue, lease, advance, lines } = observed();
  const id = await enqueue();
  const failure = { code: "runner_crashed", message: "The process was ended by SIGSEGV" } as const;
  await store.settle(id, (await lease()).token, { type: "fail", kind: "crash", failure, inferenceMs: 5 });
  advance(1_000);
  await store.settle(id, (await lease()).token, { type: "release" });
  expect(lines()).toEqual([
    { request: id, ...OWNED, attempt: 1, code: "runner_crashed", msg: "request is tried again" },
    { request: id, ...OWNED, attempt: 2, msg: "request given back to the queue" },
  ]);
  expect(await metrics.render()).not.toContain("inferq_requests_finished_total{");
});

test("what a sweep ends is told by request, and counted by its code", async () => {
  const { store, metrics, enqueue, lease, advance, lines } = observed();
  const id = await enqueue();
  for (const wait of [1_000, 5_000, 0]) {
    await lease();
    advance(1_000);
    await store.sweep(10);
    advance(wait);
  }
  const late = await enqueue({ startDeadline: 10 });
  advance(10);
  await store.sweep(10);
  const again = "lease ran out; request is tried again";
  expect(lines()).toEqual([
    { request: id, ...OWNED, attempt: 1, msg: again },
    { request: id, ...OWNED, attempt: 2, msg: again },
    { request: id, ...OWNED, attempt: 3, code: "lease_lost", msg: "request used up its attempts: a dead letter" },
    { request: id, ...OWNED, attempt: 3, code: "lease_lost", msg: "request failed" },
    { request: late, ...OWNED, attempt: 0, code: "start_timeout", msg: "request failed" },
  ]);
  const figures = await metrics.render();
  expect(figures).toContain("inferq_leases_lost_total 3");
  expect(figures).toContain(`inferq_dead_letters_total{model="mock"} 1`);
  for (const outcome of ["lease_lost", "start_timeout"]) {
    expect(figures).toContain(`inferq_requests_finished_total{model="mock",outcome="${outcome}"} 1`);
  }
});

test("a request that expires without an outcome is told and counted once, however often it is swept", async () => {
  const { store, metrics, enqueue, lease, advance, lines } = observed();
  const done = await enqueue();
  await store.settle(done, (await lease()).token, COMPLETE);
  const waiting = await enqueue();
  advance(3_600_000);
  await store.sweep(10);
  const { expired } = await store.sweep(10);
  for (const { id } of expired) await store.finish(id, { type: "expire" });
  expect(lines().slice(1)).toEqual([
    { request: waiting, ...OWNED, status: "QUEUED", msg: "request expired before it had an outcome" },
  ]);
  const figures = await metrics.render();
  expect(figures).toContain('inferq_requests_finished_total{model="mock",outcome="expired"} 1');
  expect(figures).toContain('inferq_requests_finished_total{model="mock",outcome="COMPLETED"} 1');
});

test("a late worker's settle counts as no outcome", async () => {
  const { store, metrics, enqueue, lease, lines } = observed();
  const id = await enqueue();
  await lease();
  await store.settle(id, "0".repeat(32), COMPLETE);
  expect(lines()).toEqual([]);
  expect(await metrics.render()).not.toContain("inferq_requests_finished_total{");
});

test("a status poll is as synchronous as the store's own", () => {
  const { store } = observed();
  expect(store.status("nothing")).toBeUndefined();
});
