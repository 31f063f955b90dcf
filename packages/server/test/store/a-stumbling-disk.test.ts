/** What a commit that fails for a moment leaves behind. Hiding the table makes it fail. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import { DEFAULT_RETRIES } from "../../src/core/transition.ts";
import { MemoryEventLog } from "../../src/store/memory-event-log.ts";
import { idToBytes } from "../../src/store/sqlite/id-bytes.ts";
import { LiveQueue } from "../../src/store/sqlite/live-queue.ts";
import { LEASE } from "../../src/store/sqlite/messages.ts";
import { Reader } from "../../src/store/sqlite/reader.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { breakFile, mended } from "./break-file.ts";
import { directory } from "./directory.ts";

const wish = { worker: "w1", capacity: new Map([["mock", 1]]), leaseMs: 1_000, durable: false };

it("a lease that was handed out and could not be written is written when the disk takes it: its run counts", async () => {
  const path = directory();
  const clock = manualClock();
  const asked = submissionMaker(clock)();
  await using store = await sqliteStore({ directory: path, clock });
  await store.enqueue(asked);

  const mend = breakFile(path);
  const [unwritten] = await store.lease(wish);
  expect(unwritten).toMatchObject({ attempt: 1 });
  await expect(store.settle(asked.id, unwritten!.token, { type: "release" })).rejects.toThrow("does not work now");
  mend();
  await mended(store);

  expect(await store.lease({ ...wish, durable: true })).toEqual([]);
  expect(store.status(asked.id)).toMatchObject({ status: "PROCESSING", leases: 1 });
  expect(await store.heartbeat([unwritten!], 1_000)).toEqual([]);
  await store.settle(asked.id, unwritten!.token, { type: "release" });
  const [next] = await store.lease({ ...wish, durable: true });
  expect(next).toMatchObject({ id: asked.id, attempt: 2 });
  expect(await store.get(asked.id)).toMatchObject({ leases: 2, crashes: 0 });
});

it("a lease that was written after all is not asked for again when the disk stumbles before all is loaded", async () => {
  const path = directory();
  const clock = manualClock();
  const asked = submissionMaker(clock)();
  {
    await using store = await sqliteStore({ directory: path, clock });
    await store.enqueue(asked);
  }
  const written: string[] = [];
  const queue = new LiveQueue(
    clock,
    new MemoryEventLog(clock),
    () => DEFAULT_RETRIES,
    async (operation) => {
      written.push(operation[1]);
      return true;
    },
  );
  queue.notWritten([LEASE, asked.id, clock.now(), "token", "w1", clock.now() + 1_000, 1]);
  using first = new Reader(join(path, "inferq.db"));
  queue.open(first, false);
  queue.close(); // the lease is written, its load is not over
  await queue.loaded();
  using second = new Reader(join(path, "inferq.db"));
  queue.open(second, false);
  await queue.loaded();
  queue.close();
  expect(written).toEqual([asked.id]);
});

it("a lease that cannot be written any more does not share its number with the next, also when the disk stumbles again", async () => {
  const path = directory();
  const clock = manualClock();
  const asked = submissionMaker(clock)();
  await using store = await sqliteStore({ directory: path, clock });
  await store.enqueue(asked);
  const mend = breakFile(path);
  const [unwritten] = await store.lease(wish);
  await expect(store.heartbeat([unwritten!], 1_000)).rejects.toThrow("does not work now");
  mend();
  // As another lease and its end, of which this process never heard that they were written.
  using file = new DatabaseSync(join(path, "inferq.db"), { timeout: 5_000 });
  file.prepare("UPDATE requests SET not_before = ?").run(clock.now() + 1_000);
  await mended(store);
  expect(await store.heartbeat([unwritten!], 1_000)).toEqual([unwritten!.token]);
  const mendAgain = breakFile(path);
  await expect(store.expireBy(asked.id, Infinity)).rejects.toThrow("does not work now");
  mendAgain();
  await mended(store);
  expect(store.status(asked.id)).toMatchObject({ status: "QUEUED" });
  clock.advance(1_000);
  expect(await store.lease({ ...wish, durable: true })).toMatchObject([{ id: asked.id, attempt: 2 }]);
});

it("while the disk takes nothing, what is there is read, and no further lease is handed out", async () => {
  const path = directory();
  const submission = submissionMaker(manualClock());
  const [first, second] = [submission(), submission()];
  await using store = await sqliteStore({ directory: path, clock: manualClock() });
  for (const each of [first, second]) await store.enqueue(each);
  using file = new DatabaseSync(join(path, "inferq.db"), { timeout: 5_000 });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }); // it is not opened again
  onTestFinished(() => void vi.useRealTimers());
  file.exec("CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(ROLLBACK, 'full'); END");
  await expect(store.enqueue(submission())).rejects.toThrow("does not work now");
  expect(await store.get(first.id)).toMatchObject({ status: "QUEUED" });
  expect((await store.list({ owner: first.owner, limit: 10 })).requests).toHaveLength(2);
  expect(await store.deliveries.get(first.id)).toBeUndefined();
  expect(await store.sweep(10)).toEqual({ lost: [], startTimedOut: [], expired: [] });
  await expect(store.lease(wish)).rejects.toThrow("does not work now");
  expect(store.status(first.id)).toMatchObject({ status: "QUEUED", leases: 0 });
  vi.useRealTimers();
});

it("no lease is lost while nobody could extend it, and each is soon after", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  await using store = await sqliteStore({ directory: path, clock });
  for (let i = 0; i < 2; i++) await store.enqueue(submission());
  const [extended, dead] = await store.lease({ ...wish, capacity: new Map([["mock", 2]]), durable: true });
  const mend = breakFile(path);
  await expect(store.heartbeat([extended!], 1_000)).rejects.toThrow("does not work now");
  clock.advance(600_000);
  mend();
  await mended(store);
  expect((await store.sweep(10)).lost).toEqual([]);
  expect(await store.heartbeat([extended!], 10_000)).toEqual([]);
  clock.advance(5_000);
  expect((await store.sweep(10)).lost).toEqual([dead!.id]);
});

it("what a run tells is taken while its lease stands or may be written still, and no longer", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  await using store = await sqliteStore({ directory: path, clock });
  const { events } = store;
  const told = { type: "output", text: "more " } as const;
  for (let i = 0; i < 2; i++) await store.enqueue(submission());
  const [written] = await store.lease({ ...wish, durable: true });

  const mend = breakFile(path);
  const [unwritten] = await store.lease(wish);
  expect(events.append(unwritten!.id, unwritten!.token, told)).toBe(true);
  await expect(store.heartbeat([unwritten!], 1_000)).rejects.toThrow("does not work now");
  expect(events.append(unwritten!.id, unwritten!.token, told)).toBe(true);
  expect(events.append(written!.id, written!.token, told)).toBe(true);
  mend();
  await mended(store);
  expect(events.append(written!.id, written!.token, told)).toBe(true);
  expect(events.output(written!.id)).toBe("more more ");
  expect(events.output(unwritten!.id)).toBe("more more ");

  // As an end of its lease of which this process never heard that it was written.
  using file = new DatabaseSync(join(path, "inferq.db"), { timeout: 5_000 });
  file.prepare("UPDATE requests SET status = 3 WHERE id = ?").run(idToBytes(written!.id, new Uint8Array(16)));
  expect(await store.heartbeat([written!], 1_000)).toEqual([written!.token]);
  expect(events.append(written!.id, written!.token, told)).toBe(false);
});

it("a start that finds leases of the dead and a disk that refuses goes on when the disk does", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const asked = Array.from({ length: 4_001 }, () => submission()); // three steps of the load
  {
    await using store = await sqliteStore({ directory: path, clock });
    await Promise.all(asked.map((each) => store.enqueue(each)));
    await store.lease({ ...wish, leaseMs: 86_400_000, durable: true }); // a wall clock set back can leave such a one
  }
  await using store = await sqliteStore({ directory: path, clock });
  const mend = breakFile(path);
  await expect(store.enqueue(submission())).rejects.toThrow("does not work now");
  mend();
  await mended(store);
  expect(store.stats().models.get("mock")).toMatchObject({ queued: 4_001, processing: 0 });
  expect(await store.get(asked[0]!.id)).toMatchObject({ status: "QUEUED", crashes: 1 });
});

it("a waiting request whose row is gone keeps no other from being leased", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const input = { json: JSON.stringify("longer than what is kept for the next lease".repeat(200)) };
  const [gone, stands] = [submission({ input }), submission({ input, model: "other" })];
  await using store = await sqliteStore({ directory: path, clock });
  for (const each of [gone, stands]) await store.enqueue(each);
  // As a deletion that is committed and not yet told.
  using file = new DatabaseSync(join(path, "inferq.db"));
  file.prepare("DELETE FROM requests WHERE id = ?").run(idToBytes(gone.id, new Uint8Array(16)));

  const capacity = new Map([
    ["mock", 1],
    ["other", 1],
  ]);
  expect((await store.lease({ ...wish, capacity })).map(({ id }) => id)).toEqual([stands.id]);
  expect(await store.lease({ ...wish, capacity })).toEqual([]);
});

it("another program that writes into the file for a moment is waited for", async () => {
  const path = directory();
  const clock = manualClock();
  await using store = await sqliteStore({ directory: path, clock });
  using file = new DatabaseSync(join(path, "inferq.db"));
  file.exec("BEGIN IMMEDIATE");
  const enqueued = store.enqueue(submissionMaker(clock)());
  // Who does not wait is refused at once.
  await Promise.race([enqueued.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 50))]);
  file.exec("COMMIT");
  await enqueued;
});

it("a start that cannot read the queue to its end begins anew", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  {
    await using store = await sqliteStore({ directory: path, clock });
    await Promise.all(Array.from({ length: 4_001 }, () => store.enqueue(submission())));
  }
  await using store = await sqliteStore({ directory: path, clock });
  const mend = breakFile(path);
  await expect(store.lease(wish)).rejects.toThrow("no such table");
  mend();
  const leased = () => store.lease({ ...wish, durable: true }).then(({ length }) => length, String);
  await expect.poll(leased, { timeout: 5_000 }).toBe(1);
  expect(store.stats().models.get("mock")).toMatchObject({ queued: 4_000, processing: 1 });
});

it("is given longer each time while it takes nothing, though the file opens", async () => {
  const path = directory();
  const submission = submissionMaker(manualClock());
  await using store = await sqliteStore({ directory: path, clock: manualClock() });
  using file = new DatabaseSync(join(path, "inferq.db"), { timeout: 5_000 });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const full = "CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(ROLLBACK, 'full'); END";

  for (const waits of [[50, 200, 1_000, 1_000], [50]]) {
    file.exec(full);
    for (const wait of waits) {
      await expect(store.enqueue(submission())).rejects.toThrow("does not work now");
      while (vi.getTimerCount() === 0) await turn(); // not `poll`, which moves the timers
      vi.advanceTimersByTime(wait - 1);
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(1);
      await mended(store);
    }
    file.exec("DROP TRIGGER full");
    await store.enqueue(submission()); // from here on its past is forgotten
  }
});
