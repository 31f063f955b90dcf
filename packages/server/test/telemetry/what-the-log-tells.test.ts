/** The store, observed: one line and one count for each thing that happens to a request. */
import { tmpdir } from "node:os";
import { pino } from "pino";
import { expect, test } from "vitest";
import type { Submission } from "../../src/core/request.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { type Metrics, metrics as makeMetrics } from "../../src/telemetry/metrics.ts";
import { tracedStore } from "../../src/telemetry/traced-store.ts";

const clock = { ms: 1_000, now: () => clock.ms };

function observed(): { store: RequestStore; metrics: Metrics; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
  const plain = memoryStore({ clock });
  const metrics = makeMetrics({ store: plain, clock, dataDirectory: tmpdir() });
  return { store: tracedStore(plain, { logger, metrics }), metrics, lines };
}

function submission(id: string): Submission {
  return {
    id: `01900000-0000-7000-8000-00000000000${id}`,
    model: "words",
    owner: "one",
    input: { json: `{"text":"a secret"}` },
    hasFiles: false,
    priority: 0,
    createdAt: clock.now(),
    notBefore: clock.now(),
    startDeadline: null,
    expiresAt: clock.now() + 3_600_000,
    idempotencyKey: null,
    idempotencyDigest: null,
    webhook: null,
    publicBase: null,
  };
}

const wish = { worker: "w", capacity: new Map([["words", 1]]), leaseMs: 1_000, durable: false };

test("an outcome is one line with the request's id, and one count by its code", async () => {
  const { store, metrics, lines } = observed();
  const result = { kind: "text", text: "a secret", reasoning: null } as const;
  for (const id of ["1", "2", "3"]) await store.enqueue(submission(id));

  const [first] = await store.lease(wish);
  await store.settle(first!.id, first!.token, { type: "complete", result, inferenceMs: 5, hasFiles: false });
  const [second] = await store.lease(wish);
  const failure = { code: "model_error", message: "No words." } as const;
  await store.settle(second!.id, second!.token, { type: "fail", kind: "error", failure, inferenceMs: 5 });
  const cancelled = { code: "cancelled", message: "The request was cancelled." } as const;
  await store.finish(submission("3").id, { type: "cancel", failure: cancelled });

  expect(lines.map(({ id, owner, msg, code }) => [id, owner, msg, code])).toEqual([
    [first!.id, "one", "request completed", undefined],
    [second!.id, "one", "request failed", "model_error"],
    [submission("3").id, "one", "request failed", "cancelled"],
  ]);
  expect(JSON.stringify(lines)).not.toContain("a secret");
  const figures = await metrics.render();
  expect(figures).toContain('inferq_requests_accepted_total{model="words"} 3');
  for (const outcome of ["COMPLETED", "model_error", "cancelled"]) {
    expect(figures).toContain(`inferq_requests_finished_total{model="words",outcome="${outcome}"} 1`);
  }
});

test("a late worker's settle is told as refused, and counts as no outcome", async () => {
  const { store, metrics, lines } = observed();
  await store.enqueue(submission("1"));
  await store.lease(wish);
  await store.settle(submission("1").id, "0".repeat(32), { type: "release" });
  expect(lines.at(-1)).toMatchObject({ msg: "a settle was refused", refusal: "fenced" });
  expect(await metrics.render()).not.toContain("inferq_requests_finished_total{");
});

test("a lease that ran out is told by the sweep that found it", async () => {
  const { store, metrics, lines } = observed();
  await store.enqueue(submission("1"));
  await store.lease(wish);
  clock.ms += 2_000;
  await store.sweep(10);
  expect(lines.at(-1)).toMatchObject({ msg: "leases ran out", lost: 1 });
  expect(await metrics.render()).toContain("inferq_leases_lost_total 1");
});

test("a status poll is as synchronous as the store's own", () => {
  const { store } = observed();
  expect(store.status("nothing")).toBeUndefined();
});
