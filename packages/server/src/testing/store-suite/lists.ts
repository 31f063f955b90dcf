import { describe, expect, it } from "vitest";
import type { ListedRequest, ListWish } from "../../store/store.ts";
import { COMPLETE, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

type Filters = Partial<ListWish>;

/** Lists of an owner's requests, and what is told of one request's way. */
export function lists(t: StoreUnderTest): void {
  /** All pages of a list of alice's; an answer may hold fewer than were asked for, even none, with more behind it. */
  async function listed(filters: Filters = {}): Promise<ListedRequest[]> {
    const found: ListedRequest[] = [];
    for (let before: string | null | undefined; before !== null;) {
      const wish = { owner: "alice", limit: 2, ...filters, ...(before === undefined ? {} : { before }) };
      const { requests, next } = await t.store.list(wish);
      expect(requests.length).toBeLessThanOrEqual(wish.limit);
      found.push(...requests);
      before = next;
    }
    return found;
  }

  async function ids(filters?: Filters): Promise<string[]> {
    return (await listed(filters)).map(({ id }) => id);
  }

  describe("lists an owner's requests", () => {
    it("the newest first, page by page, and no other's", async () => {
      const own: string[] = [];
      for (let i = 0; i < 5; i++) {
        own.unshift(await t.enqueue());
        await t.enqueue({ owner: "bob" });
      }
      expect(await ids()).toEqual(own);
      expect(await ids({ limit: 5 })).toEqual(own);
      expect(await ids({ owner: "carol" })).toEqual([]);
    });

    it("with all that a list shows", async () => {
      const [old, id] = [await t.enqueue(), await t.enqueue({ model: "other" })];
      const asked = t.submission({ priority: 1, idempotencyKey: "k", idempotencyDigest: "d", retryOf: old });
      await t.store.enqueue(asked);
      await t.store.settle(old, (await t.lease(2)).find((lease) => lease.id === old)!.token, failed("error"));
      const [newest, middle, oldest] = await listed();
      expect(newest).toEqual({
        ...(await t.store.status(asked.id)),
        priority: 1,
        idempotencyKey: "k",
        retryOf: old,
      });
      expect(middle).toMatchObject({ id, model: "other", priority: 0, idempotencyKey: null, retryOf: null });
      expect(oldest).toMatchObject({ id: old, status: "FAILED", failure: { code: "model_error" }, leases: 1 });
    });

    it("of one state, model or time, or of all of these", async () => {
      const since = t.clock.now();
      const first = await t.enqueue();
      t.clock.advance(1_000);
      const [second, third] = [await t.enqueue(), await t.enqueue({ model: "other" })];
      t.clock.advance(1_000);
      const fourth = await t.enqueue();
      const [running, done] = await t.lease(2);
      await t.store.settle(done!.id, done!.token, COMPLETE);
      expect([running!.id, done!.id]).toEqual([first, second]);

      expect(await ids({ status: "PROCESSING" })).toEqual([first]);
      expect(await ids({ status: "COMPLETED" })).toEqual([second]);
      expect(await ids({ status: "QUEUED" })).toEqual([fourth, third]);
      expect(await ids({ status: "FAILED" })).toEqual([]);
      expect(await ids({ model: "mock" })).toEqual([fourth, second, first]);
      expect(await ids({ since: since + 1_000 })).toEqual([fourth, third, second]);
      expect(await ids({ until: since + 1_000 })).toEqual([first]);
      const window = { since: since + 1_000, until: since + 2_000 };
      expect(await ids(window)).toEqual([third, second]);
      expect(await ids({ ...window, model: "mock", status: "COMPLETED" })).toEqual([second]);
      expect(await ids({ ...window, model: "mock", status: "QUEUED" })).toEqual([]);
    });

    it("by its idempotency key, which finds the request whose answer was lost", async () => {
      const id = await t.enqueue({ idempotencyKey: "order 7", idempotencyDigest: "d" });
      await t.enqueue({ idempotencyKey: "order 8", idempotencyDigest: "d" });
      await t.enqueue({ idempotencyKey: "order 7", idempotencyDigest: "d", owner: "bob" });
      expect(await ids({ idempotencyKey: "order 7" })).toEqual([id]);
      expect(await ids({ idempotencyKey: "order 7", status: "COMPLETED" })).toEqual([]);
      expect(await ids({ idempotencyKey: "order 9" })).toEqual([]);
    });

    it("without those that have expired", async () => {
      await t.enqueue({ expiresAt: t.clock.now() + 1_000 });
      const id = await t.enqueue();
      t.clock.advance(1_000);
      expect(await ids()).toEqual([id]);
    });

    it("each once, though requests come, end and go between two pages", async () => {
      const all: string[] = [];
      for (let i = 0; i < 6; i++) all.unshift(await t.enqueue());
      const first = await t.store.list({ owner: "alice", limit: 2 });
      expect(first.requests.map(({ id }) => id)).toEqual(all.slice(0, 2));
      await t.enqueue();
      for (const { id, token } of await t.lease(3)) await t.store.settle(id, token, COMPLETE);
      await t.store.finish(all[1]!, { type: "delete" }); // where the first page ended
      await t.store.finish(all[2]!, { type: "delete" }); // where the second would begin
      const second = await t.store.list({ owner: "alice", limit: 10, before: first.next! });
      expect(second).toMatchObject({ requests: all.slice(3).map((id) => ({ id })), next: null });
    });
  });

  describe("tells of attempts that ended without an outcome", () => {
    it("one after the other, each with its error", async () => {
      const id = await t.enqueue();
      const startedAt = t.clock.now();
      await t.leaseOne();
      t.clock.advance(30_000);
      await t.store.sweep(10);
      t.clock.advance(1_000);
      await t.store.settle(id, (await t.leaseOne()).token, failed("retryable"));
      t.clock.advance(1_000);
      await t.store.settle(id, (await t.leaseOne()).token, { type: "release" });
      const [lost, retried, released] = [startedAt, startedAt + 31_000, startedAt + 32_000];
      const past = [
        { attempt: 1, worker: "w1", startedAt: lost, endedAt: lost + 30_000, failure: { code: "lease_lost" } },
        { attempt: 2, worker: "w1", startedAt: retried, endedAt: retried, failure: { code: "model_error" } },
        { attempt: 3, worker: "w1", startedAt: released, endedAt: released, failure: null },
      ];
      expect(await t.store.pastAttempts(id)).toMatchObject(past);
      await t.store.settle(id, (await t.leaseOne()).token, COMPLETE);
      expect(await t.store.pastAttempts(id)).toHaveLength(3);
    });

    it("and of none where there were none, or there is no such request any more", async () => {
      const id = await t.enqueue();
      expect(await t.store.pastAttempts(id)).toEqual([]);
      const { token } = await t.leaseOne();
      await t.store.settle(id, token, { type: "release" });
      expect(await t.store.pastAttempts(id)).toHaveLength(1);
      await t.store.finish(id, { type: "delete" });
      expect(await t.store.pastAttempts(id)).toEqual([]);
      const next = await t.enqueue({ expiresAt: t.clock.now() + 1_000 });
      expect(await t.store.pastAttempts(next)).toEqual([]); // nothing of the one before it
      await t.store.settle(next, (await t.leaseOne()).token, { type: "release" });
      t.clock.advance(1_000);
      expect(await t.store.pastAttempts(next)).toEqual([]);
    });
  });
}
