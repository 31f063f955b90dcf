import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { isFinished } from "../../src/core/request.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";

const cancel = { type: "cancel", failure: { code: "cancelled", message: "Cancelled." } } as const;

/** The writer's thread is faster than the news of its commit: who reads the file sees the outcome before memory has heard of it. */
it.each(["the request", "a list"])("to a poll that comes right after %s has shown an outcome", async (shown) => {
  const clock = manualClock();
  const submission = submissionMaker(clock)();
  const { id, owner } = submission;
  await using store = await sqliteStore({ directory: directory(), clock });
  await store.enqueue(submission);
  const cancelled = store.finish(id, cancel);
  await turn(); // it is with the writer
  for (let status = store.status(id)!.status; !isFinished(status);) {
    // No turn of the event loop between two reads, so that memory hears nothing meanwhile.
    const [found] = shown === "a list" ? (await store.list({ owner, limit: 1 })).requests : [await store.get(id)];
    status = found!.status;
  }
  expect(store.status(id)!.status).toBe("FAILED");
  expect(await cancelled).toBe(true);
});

it("to a poll that comes right after a webhook has told an outcome", async () => {
  const clock = manualClock();
  const webhook = { url: "http://receiver.example/", events: ["failed"], body: "full" } as const;
  const submission = submissionMaker(clock)({ webhook });
  await using store = await sqliteStore({ directory: directory(), clock });
  await store.enqueue(submission);
  const cancelled = store.finish(submission.id, cancel);
  await turn(); // it is with the writer
  for (let due: readonly unknown[] = []; due.length === 0;) {
    due = await store.deliveries.due("receiver.example", clock.now(), 1);
  }
  expect(store.status(submission.id)!.status).toBe("FAILED");
  expect(await cancelled).toBe(true);
});
