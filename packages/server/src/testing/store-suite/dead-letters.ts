import { describe, expect, it } from "vitest";
import type { DeadLetter, DeadLetterWish, RequestStatus } from "../../store/store.ts";
import { COMPLETE, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** The requests that used up their attempts. */
export function deadLetters(t: StoreUnderTest): void {
  /** All pages; an answer may hold fewer than were asked for, even none, with more behind it. */
  async function listed(filters: Partial<DeadLetterWish> = {}): Promise<DeadLetter[]> {
    const found: DeadLetter[] = [];
    for (let before: string | null | undefined; before !== null;) {
      const wish = { limit: 2, ...filters, ...(before === undefined ? {} : { before }) };
      const page = await t.store.deadLetters(wish);
      expect(page.deadLetters.length).toBeLessThanOrEqual(wish.limit);
      found.push(...page.deadLetters);
      before = page.next;
    }
    return found;
  }

  async function ids(filters?: Partial<DeadLetterWish>): Promise<string[]> {
    return (await listed(filters)).map(({ id }) => id);
  }

  /** A request of "stubborn", whose first retryable error is its last. */
  async function dead(over: Parameters<StoreUnderTest["enqueue"]>[0] = {}): Promise<string> {
    const id = await t.enqueue({ model: "stubborn", ...over });
    const [lease] = await t.lease(1, "stubborn");
    await t.store.settle(id, lease!.token, failed("retryable"));
    return id;
  }

  describe("lists dead letters", () => {
    it("only those that used up their attempts", async () => {
      const cancel = { type: "cancel", failure: { code: "cancelled", message: "" } } as const;
      for (const settlement of [COMPLETE, failed("error"), failed("crash"), { type: "release" } as const]) {
        const id = await t.enqueue();
        await t.store.settle(id, (await t.leaseOne()).token, settlement);
        await t.store.finish(id, cancel);
      }
      await t.enqueue({ startDeadline: t.clock.now() });
      await t.store.sweep(10);
      expect(await listed()).toEqual([]);

      const id = await t.enqueue({ key: "laptop" });
      for (let tries = 0; tries < 3; tries++) {
        await t.leaseOne();
        t.clock.advance(40_000);
        await t.store.sweep(10);
        t.clock.advance(10_000);
      }
      const counts = { key: "laptop", attempts: 3, crashes: 3, state: "open" };
      expect(await listed()).toEqual([{ ...(await t.store.status(id)), ...counts }]);
      expect(await t.store.get(id)).toMatchObject({
        deadLetter: "open",
        worker: "w1",
        failure: { code: "lease_lost" },
      });
    });

    it("of all owners or of one, of all models or of one, the newest first and page by page", async () => {
      const [first, second, third] = [await dead(), await dead({ owner: "bob" }), await dead()];
      const other = await t.enqueue();
      for (let tries = 0; tries < 3; tries++) {
        await t.store.settle(other, (await t.leaseOne()).token, failed("crash"));
        t.clock.advance(5_000);
      }
      expect(await ids()).toEqual([other, third, second, first]);
      expect(await ids({ limit: 1 })).toEqual([other, third, second, first]);
      expect(await ids({ owner: "alice" })).toEqual([other, third, first]);
      expect(await ids({ model: "stubborn" })).toEqual([third, second, first]);
      expect(await ids({ owner: "bob", model: "mock" })).toEqual([]);
      expect(await ids({ before: third })).toEqual([second, first]);
    });

    it("apart whether a retry has run them once more", async () => {
      const [first, second] = [await dead(), await dead()];
      const retry = await t.enqueue({ retryOf: first });
      expect(await ids({ state: "replayed" })).toEqual([first]);
      expect(await ids({ state: "open" })).toEqual([second]);
      expect(await t.store.get(first)).toMatchObject({ status: "FAILED", deadLetter: "replayed" });
      expect(await t.store.get(retry)).toMatchObject({ deadLetter: null, retryOf: first });
    });

    it("as replayed only where the retry was accepted", async () => {
      const id = await dead();
      await t.enqueue({ idempotencyKey: "k", idempotencyDigest: "d" });
      const asked = t.submission({ idempotencyKey: "k", idempotencyDigest: "d", retryOf: id });
      expect(await t.store.enqueue(asked)).toMatchObject({ ok: false });
      expect(await ids({ state: "open" })).toEqual([id]);
    });

    it("no longer than they live", async () => {
      const [expired, deleted, kept] = [await dead({ expiresAt: t.clock.now() + 1_000 }), await dead(), await dead()];
      await t.store.finish(deleted, { type: "delete" });
      t.clock.advance(1_000);
      expect(await ids()).toEqual([kept]);
      await t.store.finish(expired, { type: "expire" });
      expect(await ids()).toEqual([kept]);
    });

    it("and tells of each, also of those that nobody had asked about yet", async () => {
      const heard: RequestStatus[] = [];
      const first = await dead();
      t.store.onDeadLetter?.((request) => heard.push(request));
      const second = await dead();
      if (t.store.onDeadLetter === undefined) return;
      expect(heard).toEqual([await t.store.status(first), await t.store.status(second)]);
    });
  });
}
