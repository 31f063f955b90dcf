/** Whatever ends a wait, and however much of it at once: its client is answered once. */
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { waiter, type Waiter } from "../../src/gateway/waiter.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";

const FAILURE = { code: "cancelled", message: "Enough." } as const;

let store: RequestStore;
let waits: Waiter;
let id: string;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const clock = manualClock();
  store = memoryStore({ clock });
  const submission = submissionMaker(clock)();
  id = submission.id;
  await store.enqueue(submission);
  waits = waiter(store, () => true);
});
afterEach(async () => {
  waits.stop();
  vi.useRealTimers();
  await store[Symbol.asyncDispose]();
});

/** What the waiter must know of an answer: whether its client is still there. */
function client(): ServerResponse {
  return Object.assign(new EventEmitter(), { closed: false }) as unknown as ServerResponse;
}

test("its request finishes when its time is over", async () => {
  const answered = vi.fn();
  for (let i = 0; i < 200; i++) waits.wait(id, 1_000, client(), answered);
  vi.advanceTimersByTime(1_000);
  await store.finish(id, { type: "cancel", failure: FAILURE });
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect(answered).toHaveBeenCalledTimes(200);
});

test("the server stops when its request finishes", async () => {
  const answered = vi.fn();
  waits.wait(id, 1_000, client(), answered);
  await store.finish(id, { type: "cancel", failure: FAILURE });
  waits.stop();
  vi.advanceTimersByTime(1_000);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect(answered).toHaveBeenCalledTimes(1);
});

test("its client goes away when its request finishes: nobody is answered", async () => {
  const answered = vi.fn();
  const gone = client();
  waits.wait(id, 1_000, gone, answered);
  await store.finish(id, { type: "cancel", failure: FAILURE });
  gone.emit("close");
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect(answered).not.toHaveBeenCalled();
});
