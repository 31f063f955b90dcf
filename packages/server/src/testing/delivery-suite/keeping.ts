import { describe, expect, it } from "vitest";
import type { ListedDelivery } from "../../store/deliveries.ts";
import type { StoreUnderTest } from "../store-suite/under-test.ts";
import { COMPLETE, IMAGE } from "../store-suite/under-test.ts";
import { completed, delivered, gaveUp, retry, telling } from "./told.ts";

const HOUR = 3_600_000;

/** How long deliveries live, and who sees them. */
export function keepsDeliveries(t: StoreUnderTest): void {
  async function expire(id: string): Promise<void> {
    expect(await t.store.finish(id, { type: "expire" })).toBe(true);
  }

  describe("outlive their request", () => {
    it("while they are to be sent, with the whole result", async () => {
      const { deliveries } = t.store;
      const [expired, deleted] = [await completed(t, "https://a.example/"), await completed(t, "https://a.example/")];
      await t.store.finish(deleted, { type: "delete" });
      t.clock.advance(HOUR);
      await expire(expired);
      for (const id of [expired, deleted]) {
        expect(await deliveries.get(id)).toMatchObject({ state: "pending", outcome: { result: IMAGE } });
        expect(await deliveries.mark(id, retry(t.clock.now(), t.clock.now() + 1_000))).toBe(true);
        expect(await deliveries.get(id)).toMatchObject({ tries: 1, outcome: { result: IMAGE } });
      }
      // Once delivered, they are gone.
      for (const id of [expired, deleted]) {
        expect(await deliveries.mark(id, delivered(t.clock.now()))).toBe(true);
        expect(await deliveries.get(id)).toBeUndefined();
        expect(await deliveries.redeliver(id)).toBe(false);
      }
      expect((await deliveries.list({ owner: "alice", limit: 10 })).deliveries).toEqual([]);
      expect(deliveries.pending).toBe(0);
    });

    it("when they were given up, for whoever asks for them then", async () => {
      const { deliveries } = t.store;
      const id = await completed(t, "https://a.example/");
      await deliveries.mark(id, gaveUp(t.clock.now()));
      t.clock.advance(HOUR);
      await expire(id);
      expect(await deliveries.get(id)).toMatchObject({ state: "failed", outcome: { result: IMAGE } });
      expect(await deliveries.redeliver(id)).toBe(true);
      expect(await deliveries.due("a.example", t.clock.now(), 1)).toMatchObject([{ id, outcome: { result: IMAGE } }]);
    });

    it("but not when they were delivered: from when it expires, whether its row is gone or not", async () => {
      const { deliveries } = t.store;
      const [expired, deleted] = [await completed(t, "https://a.example/"), await completed(t, "https://a.example/")];
      for (const id of [expired, deleted]) await deliveries.mark(id, delivered(t.clock.now()));
      await t.store.finish(deleted, { type: "delete" });
      expect(await deliveries.get(deleted)).toBeUndefined();
      expect(await deliveries.get(expired)).toBeDefined();
      t.clock.advance(HOUR);
      for (const gone of [() => Promise.resolve(), () => expire(expired)]) {
        await gone();
        expect(await deliveries.get(expired)).toBeUndefined();
        expect((await deliveries.list({ owner: "alice", limit: 10 })).deliveries).toEqual([]);
        expect(await deliveries.redeliver(expired)).toBe(false);
      }
    });
  });

  describe("are given up", () => {
    it("and forgotten when they are old, a number at a time, the oldest first", async () => {
      const { deliveries } = t.store;
      const start = t.clock.now();
      const made: string[] = [];
      for (let n = 0; n < 4; n++) {
        made.push(await completed(t, "https://a.example/"));
        t.clock.advance(1_000);
      }
      const states = async (): Promise<(string | undefined)[]> =>
        Promise.all(made.map(async (id) => (await deliveries.get(id))?.state));
      expect(await deliveries.giveUp(start, start, 10)).toEqual({ givenUp: 0, forgotten: 0 });
      expect(await deliveries.giveUp(start + 2_001, start, 2)).toEqual({ givenUp: 2, forgotten: 0 });
      expect(await states()).toEqual(["failed", "failed", "pending", "pending"]);
      expect(deliveries.pending).toBe(2);
      expect(await deliveries.giveUp(start + 2_001, start, 2)).toEqual({ givenUp: 1, forgotten: 0 });
      expect(await states()).toEqual(["failed", "failed", "failed", "pending"]);
      expect(await deliveries.giveUp(start + 2_001, start + 1_001, 1)).toEqual({ givenUp: 0, forgotten: 1 });
      expect(await states()).toEqual([undefined, "failed", "failed", "pending"]);
      expect(await deliveries.due("a.example", t.clock.now(), 10)).toMatchObject([{ id: made[3] }]);
    });

    it("counted from when they were asked for again", async () => {
      const { deliveries } = t.store;
      const id = await completed(t, "https://a.example/");
      const start = t.clock.now();
      expect(await deliveries.giveUp(start + 1, 0, 10)).toMatchObject({ givenUp: 1 });
      t.clock.advance(1_000);
      await deliveries.redeliver(id);
      expect(await deliveries.giveUp(start + 1_000, start + 1_000, 10)).toMatchObject({ givenUp: 0 });
      expect(await deliveries.get(id)).toMatchObject({ state: "pending" });
      expect(await deliveries.giveUp(start + 1_001, start + 1_000, 10)).toEqual({ givenUp: 1, forgotten: 0 });
      expect(await deliveries.giveUp(start + 1_001, start + 1_000, 10)).toEqual({ givenUp: 0, forgotten: 0 });
      expect(await deliveries.get(id)).toMatchObject({ state: "failed" });
      await deliveries.giveUp(0, start + 1_001, 10);
      expect(await deliveries.get(id)).toBeUndefined();
      expect(await t.store.get(id)).toMatchObject({ result: IMAGE });
    });
  });

  describe("are listed", () => {
    it("to their owner, the newest requests first, by state and in pages", async () => {
      const { deliveries } = t.store;
      const made: string[] = [];
      for (let n = 0; n < 6; n++) made.unshift(await completed(t, "https://a.example/"));
      const bobs = await completed(t, "https://a.example/", { owner: "bob" });
      const at = t.clock.now();
      await deliveries.mark(made[1]!, delivered(at));
      await deliveries.mark(made[2]!, gaveUp(at));
      await deliveries.mark(made[4]!, delivered(at));

      const all = await deliveries.list({ owner: "alice", limit: 6 });
      expect(all.next).toBeNull();
      expect(all.deliveries.map(({ id }) => id)).toEqual(made);
      expect(all.deliveries).toEqual(await Promise.all(made.map((id) => listed(id))));
      expect(await deliveries.list({ owner: "bob", limit: 6 })).toMatchObject({
        deliveries: [{ id: bobs }],
        next: null,
      });

      const pages: string[][] = [];
      for (let next: string | null | undefined; next !== null;) {
        const page = await deliveries.list({ owner: "alice", limit: 4, ...(next !== undefined && { before: next }) });
        pages.push(page.deliveries.map(({ id }) => id));
        next = page.next;
      }
      expect(pages).toEqual([made.slice(0, 4), made.slice(4)]);

      const of = async (state: ListedDelivery["state"]): Promise<string[]> =>
        (await deliveries.list({ owner: "alice", state, limit: 10 })).deliveries.map(({ id }) => id);
      expect(await of("pending")).toEqual([made[0], made[3], made[5]]);
      expect(await of("delivered")).toEqual([made[1], made[4]]);
      expect(await of("failed")).toEqual([made[2]]);
    });

    it("without what only the whole delivery has, past any number that are gone", async () => {
      const { deliveries } = t.store;
      const stays = await completed(t, "https://a.example/", { expiresAt: t.clock.now() + 2 * HOUR });
      await Promise.all(Array.from({ length: 210 }, () => t.enqueue(telling("https://a.example/"))));
      const leases = await t.lease(210);
      await Promise.all(leases.map(({ id, token }) => t.store.settle(id, token, COMPLETE)));
      await Promise.all(leases.map(({ id }) => deliveries.mark(id, delivered(t.clock.now()))));
      expect(await deliveries.mark(stays, delivered(t.clock.now()))).toBe(true);
      t.clock.advance(HOUR);
      const page = await deliveries.list({ owner: "alice", limit: 1 });
      expect(page).toEqual({ deliveries: [await listed(stays)], next: null });
      expect(Object.keys(page.deliveries[0]!)).not.toContain("outcome");
    });
  });

  async function listed(id: string): Promise<ListedDelivery> {
    const {
      askedAt: _askedAt,
      body: _body,
      base: _base,
      outcome: _outcome,
      ...rest
    } = (await t.store.deliveries.get(id))!;
    return rest;
  }
}
