/** A caller looks at what happened to one of its requests: every lease, what became of it, and the outcome. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { sentence } from "../../src/core/errors.ts";
import { submissionMaker } from "../../src/testing/index.ts";
import { type Gateway, OTHER_KEY, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

async function timeline(id: string): Promise<Record<string, unknown>> {
  const answer = await gateway.call("GET", `/v2/requests/${id}/timeline`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json();
}

test("given back once, crashed once, completed the third time", async () => {
  const id = await gateway.submit("words", {});
  gateway.clock.advance(500);
  const first = await gateway.lease("words");
  gateway.clock.advance(500);
  await gateway.store.settle(id, first.token, { type: "release" });
  const second = await gateway.lease("words");
  gateway.clock.advance(1_000);
  const failure = { code: "runner_crashed", message: "The model's process died." } as const;
  await gateway.store.settle(id, second.token, { type: "fail", kind: "crash", failure, inferenceMs: 900 });

  const events: Record<string, unknown>[] = [
    { at: "2026-09-21T14:13:20.000Z", event: "submitted" },
    { at: "2026-09-21T14:13:20.500Z", event: "leased", attempt: 1, worker: "test" },
    { at: "2026-09-21T14:13:21.000Z", event: "released", attempt: 1 },
    { at: "2026-09-21T14:13:21.000Z", event: "leased", attempt: 2, worker: "test" },
    {
      at: "2026-09-21T14:13:22.000Z",
      event: "attempt_failed",
      attempt: 2,
      error_code: "runner_crashed",
      error: "The model's process died.",
    },
  ];
  const about = { request_id: id, retry_of: null, expires_at: "2026-09-21T15:13:20.000Z" };
  const waiting = { ...events[4], next_try_at: "2026-09-21T14:13:23.000Z" };
  expect(await timeline(id)).toEqual({ ...about, events: [...events.slice(0, 4), waiting] });

  gateway.clock.advance(1_000);
  const third = await gateway.lease("words");
  const leased = { at: "2026-09-21T14:13:23.000Z", event: "leased", attempt: 3 };
  expect(await timeline(id)).toEqual({ ...about, events: [...events, { ...leased, worker: "test" }] });

  gateway.clock.advance(1_500);
  const result = { kind: "text", text: "a word", reasoning: null } as const;
  await gateway.store.settle(id, third.token, { type: "complete", result, inferenceMs: 1_400, hasFiles: false });
  const completed = { at: "2026-09-21T14:13:24.500Z", event: "completed", attempt: 3 };
  expect(await timeline(id)).toEqual({ ...about, events: [...events, leased, completed] });
});

test("a failure is told with its code and its sentence", async () => {
  const id = await gateway.submit("words", {});
  await gateway.fail("words", { code: "model_error", message: "No such word." });
  expect((await timeline(id))["events"]).toEqual([
    { at: "2026-09-21T14:13:20.000Z", event: "submitted" },
    { at: "2026-09-21T14:13:20.000Z", event: "leased", attempt: 1 },
    {
      at: "2026-09-21T14:13:20.003Z",
      event: "failed",
      attempt: 1,
      error_code: "model_error",
      error: "No such word.",
    },
  ]);
});

test("one that ends while it waits had no lease, or none since it was given back", async () => {
  const cancelled = { code: "cancelled", message: sentence("cancelled") } as const;
  const failed = { event: "failed", error_code: "cancelled", error: "The request was cancelled." };
  const fresh = await gateway.submit("words", {});
  await gateway.store.finish(fresh, { type: "cancel", failure: cancelled });
  expect((await timeline(fresh))["events"]).toEqual([
    { at: "2026-09-21T14:13:20.000Z", event: "submitted" },
    { at: "2026-09-21T14:13:20.000Z", ...failed },
  ]);

  const back = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  await gateway.store.settle(back, lease.token, { type: "release" });
  await gateway.store.finish(back, { type: "cancel", failure: cancelled });
  const events = (await timeline(back))["events"] as Record<string, unknown>[];
  expect(events.map(({ event, attempt }) => [event, attempt])).toEqual([
    ["submitted", undefined],
    ["leased", 1],
    ["released", 1],
    ["failed", undefined],
  ]);
});

test("it names the request whose input it runs again", async () => {
  const old = await gateway.submit("words", {});
  const again = submissionMaker(gateway.clock)({ owner: "one", model: "words", retryOf: old });
  await gateway.store.enqueue(again);
  expect((await timeline(again.id))["retry_of"]).toBe(old);
});

test("that of another owner, of an expired request and of none at all are not found; other methods are not allowed", async () => {
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}/timeline`;
  expect((await gateway.call("GET", path, undefined, { "x-api-key": OTHER_KEY })).status).toBe(404);
  expect((await gateway.call("GET", "/v2/requests/nothing/timeline")).json()).toEqual({
    error: "Request nothing not found",
  });
  expect((await gateway.call("HEAD", path)).status).toBe(200);
  const posted = await gateway.call("POST", path, {});
  expect([posted.status, posted.headers["allow"]]).toEqual([405, "GET, HEAD"]);
  gateway.clock.advance(3_600_000);
  expect((await gateway.call("GET", path)).status).toBe(404);
});
