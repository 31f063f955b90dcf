import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";

it("gives the disk back when requests expire, and needs no more for the next ones", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const input = { json: JSON.stringify({ prompt: "rose ".repeat(400) }) };

  /** What the file holds once `work` is done and the store is closed. */
  async function bytesAfter(work: (store: SqliteStore) => Promise<void>): Promise<number> {
    {
      await using store = await sqliteStore({ directory: path, clock });
      await work(store);
    }
    return statSync(join(path, "inferq.db")).size;
  }
  async function submit(store: SqliteStore): Promise<void> {
    await Promise.all(Array.from({ length: 4_000 }, () => store.enqueue(submission({ input }))));
  }
  async function expire(store: SqliteStore): Promise<void> {
    clock.advance(3_600_000);
    for (let found = 1; found > 0;) {
      const { expired } = await store.sweep(500);
      await Promise.all(expired.map(({ id }) => store.finish(id, { type: "expire" })));
      found = expired.length;
    }
    expect(store.stats().models.size).toBe(0);
  }

  const full = await bytesAfter(submit);
  expect(full).toBeGreaterThan(8e6);
  expect(await bytesAfter(expire)).toBeLessThan(full / 2);
  for (let hour = 0; hour < 3; hour++) {
    expect(await bytesAfter(submit)).toBeLessThan(full * 1.2);
    await bytesAfter(expire);
  }
});
