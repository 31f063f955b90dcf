import { expect, it } from "vitest";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";
import { fill } from "./fill.ts";

it("finds an owner's requests among 100,000 of another's, in several answers", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const before = submission({ id: "00000000-0000-7000-8000-000000000000", owner: "bob" });
  const after = submission({ owner: "bob", idempotencyKey: "k", idempotencyDigest: "d" });
  fill(path, 100_000, clock.now());
  await using store = await sqliteStore({ directory: path, clock });
  for (const asked of [before, after]) await store.enqueue(asked);

  const found: string[] = [];
  let answers = 0;
  for (let next: string | null | undefined; next !== null; answers++) {
    const page = await store.list({ owner: "bob", limit: 100, ...(next !== undefined && { before: next }) });
    found.push(...page.requests.map(({ id }) => id));
    next = page.next;
  }
  expect(found).toEqual([after.id, before.id]);
  expect(answers).toBeGreaterThan(1);

  // A key is looked up, however many rows there are.
  expect(await store.list({ owner: "bob", limit: 100, idempotencyKey: "k" })).toMatchObject({
    requests: [{ id: after.id }],
    next: null,
  });
});

it("answers a list that is asked for while other requests come in and go", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const ids = fill(path, 10_000, clock.now());
  await using store = await sqliteStore({ directory: path, clock });
  const asked = store.list({ owner: "alice", status: "FAILED", limit: 10 });
  await Promise.all([store.enqueue(submission()), store.finish(ids[5_000]!, { type: "delete" })]);
  expect(await asked).toEqual({ requests: [], next: null });
});
