/** A start with a wall clock that is behind the times in the data directory: nothing waits for a time that is far away. */
import { expect, it } from "vitest";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";

const YEAR_MS = 365 * 86_400_000;
const wish = { worker: "w1", capacity: new Map([["mock", 9]]), leaseMs: 1_000, durable: true };
const failure = { code: "model_error", message: "Not yet." } as const;
const webhook = { url: "https://a.example/hook", events: ["completed"], body: "thin" } as const;

it("what waits, what is to be tried again, what ran and what is to be told goes on at once", async () => {
  const path = directory();
  const then = manualClock();
  const submission = submissionMaker(then);
  const [waits, again, ran, told] = [submission(), submission(), submission(), submission({ webhook, publicBase: "" })];
  {
    await using store = await sqliteStore({ directory: path, clock: then });
    expect(store.newestAt).toBeNull();
    for (const each of [again, ran, told]) await store.enqueue(each);
    for (const { id, token } of await store.lease(wish)) {
      if (id === again.id) {
        await store.settle(id, token, {
          type: "fail",
          kind: "retryable",
          failure,
          inferenceMs: 1,
          retryAfterMs: 60_000,
        });
      } else if (id === told.id) {
        const result = { kind: "text", text: "done", reasoning: null } as const;
        await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
      }
    }
    await store.enqueue(waits);
  }
  const now = manualClock(then.now() - YEAR_MS);
  await using store = await sqliteStore({ directory: path, clock: now });
  expect(store.newestAt).toBe(then.now());
  await store.loaded();
  expect(await store.deliveries.due("a.example", now.now(), 9)).toMatchObject([{ id: told.id }]);
  const leased = (await store.lease(wish)).map(({ id }) => id);
  expect(leased.sort()).toEqual([waits.id, again.id].sort());
  now.advance(60_000); // what was lost with its process waits for its usual time
  expect(await store.lease(wish)).toMatchObject([{ id: ran.id }]);
  const fresh = submissionMaker(now)();
  await store.enqueue(fresh);
  expect(await store.lease(wish)).toMatchObject([{ id: fresh.id }]);
});
