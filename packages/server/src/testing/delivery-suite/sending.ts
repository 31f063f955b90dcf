import { describe, expect, it } from "vitest";
import { UNKNOWN } from "../store-suite/under-test.ts";
import type { StoreUnderTest } from "../store-suite/under-test.ts";
import { attempt, completed, delivered, gaveUp, retry } from "./told.ts";

/** What a sender asks, and what it says. */
export function sendsDeliveries(t: StoreUnderTest): void {
  describe("are found when they are due", () => {
    it("by host, in the hosts' order, and for each host those due longest first", async () => {
      const [late, early, other, third] = [
        await completed(t, "https://b.example/1"),
        await completed(t, "https://b.example/2"),
        await completed(t, "https://a.example/"),
        await completed(t, "http://b.example:8080/"),
      ];
      const { deliveries } = t.store;
      const madeAt = t.clock.now();
      expect(await deliveries.dueHosts(madeAt - 1, null, 10)).toEqual([]);
      expect(await deliveries.dueHosts(madeAt, null, 10)).toEqual(["a.example", "b.example", "b.example:8080"]);
      expect(await deliveries.dueHosts(madeAt, null, 2)).toEqual(["a.example", "b.example"]);
      expect(await deliveries.dueHosts(madeAt, "b.example", 2)).toEqual(["b.example:8080"]);
      expect(await deliveries.dueHosts(madeAt, "b.example:8080", 2)).toEqual([]);
      expect(ids(await deliveries.due("b.example", madeAt, 10))).toEqual([late, early]);
      expect(ids(await deliveries.due("b.example", madeAt, 1))).toEqual([late]);

      await deliveries.mark(late, retry(madeAt, madeAt + 2_000));
      await deliveries.mark(early, retry(madeAt, madeAt + 1_000));
      expect(await deliveries.due("b.example", madeAt + 999, 10)).toEqual([]);
      expect(await deliveries.dueHosts(madeAt + 999, null, 10)).toEqual(["a.example", "b.example:8080"]);
      expect(ids(await deliveries.due("b.example", madeAt + 1_000, 10))).toEqual([early]);
      expect(ids(await deliveries.due("b.example", madeAt + 2_000, 10))).toEqual([early, late]);

      for (const id of [other, third]) await deliveries.mark(id, delivered(madeAt));
      expect(deliveries.pending).toBe(2);
      for (const id of [late, early]) await deliveries.mark(id, delivered(madeAt));
      expect(await deliveries.dueHosts(madeAt + 9_000, null, 10)).toEqual([]);
      expect(deliveries.pending).toBe(0);
    });

    it("in any number", async () => {
      for (let i = 0; i < 3; i++) await completed(t, "https://a.example/");
      const found = await t.store.deliveries.due("a.example", t.clock.now(), 10);
      expect(found).toEqual(await Promise.all(found.map(({ id }) => t.store.deliveries.get(id))));
      expect(found).toHaveLength(3);
    });
  });

  describe("keep what became of each try", () => {
    it("until one succeeds", async () => {
      const id = await completed(t, "https://a.example/");
      const { deliveries } = t.store;
      const at = t.clock.now();
      expect(await deliveries.mark(id, retry(at, at + 500))).toBe(true);
      expect(await deliveries.get(id)).toMatchObject({ state: "pending", tries: 1, dueAt: at + 500, attempts: [attempt(at)] }); // prettier-ignore
      t.clock.advance(500);
      expect(await deliveries.mark(id, delivered(at + 500))).toBe(true);
      const done = { state: "delivered", tries: 2, dueAt: null, attempts: [attempt(at), attempt(at + 500, 204)] };
      expect(await deliveries.get(id)).toMatchObject(done);
      expect(await deliveries.due("a.example", at + 9_000, 10)).toEqual([]);
      for (const mark of [delivered(at), retry(at, at), gaveUp(at)])
        expect(await deliveries.mark(id, mark)).toBe(false);
      expect(await deliveries.get(id)).toMatchObject(done);
    });

    it("or it is given up", async () => {
      const id = await completed(t, "https://a.example/");
      const { deliveries } = t.store;
      expect(await deliveries.mark(id, gaveUp(t.clock.now()))).toBe(true);
      expect(await deliveries.get(id)).toMatchObject({ state: "failed", tries: 1, dueAt: null });
      expect(await deliveries.mark(id, delivered(t.clock.now()))).toBe(false);
      expect(deliveries.pending).toBe(0);
    });

    it("of the latest twenty", async () => {
      const id = await completed(t, "https://a.example/");
      const at = t.clock.now();
      for (let n = 0; n < 22; n++) await t.store.deliveries.mark(id, retry(at + n, at + n + 1));
      const attempts = Array.from({ length: 20 }, (_, n) => attempt(at + n + 2));
      expect(await t.store.deliveries.get(id)).toMatchObject({ tries: 22, attempts });
    });

    it("of no delivery that there is not", async () => {
      for (const id of [UNKNOWN, "x"]) {
        expect(await t.store.deliveries.mark(id, delivered(t.clock.now()))).toBe(false);
        expect(await t.store.deliveries.redeliver(id)).toBe(false);
        expect(await t.store.deliveries.get(id)).toBeUndefined();
      }
    });
  });

  describe("are sent again when somebody asks", () => {
    it("whatever became of them", async () => {
      const { deliveries } = t.store;
      const [waiting, done, lost] = [
        await completed(t, "https://a.example/"),
        await completed(t, "https://a.example/"),
        await completed(t, "https://a.example/"),
      ];
      const at = t.clock.now();
      await deliveries.mark(waiting, retry(at, at + 60_000));
      await deliveries.mark(done, delivered(at));
      await deliveries.mark(lost, gaveUp(at));
      t.clock.advance(10);
      for (const id of [waiting, done, lost]) {
        expect(await deliveries.redeliver(id)).toBe(true);
        expect(await deliveries.get(id)).toMatchObject({
          state: "pending",
          tries: 1,
          createdAt: at,
          askedAt: at + 10,
          dueAt: at + 10,
        });
      }
      expect(deliveries.pending).toBe(3);
      expect(ids(await deliveries.due("a.example", at + 10, 10))).toEqual([waiting, done, lost]);
    });

    it("and stay due where a try was under way meanwhile, unless it succeeds", async () => {
      const { deliveries } = t.store;
      const [retried, given, done] = [
        await completed(t, "https://a.example/"),
        await completed(t, "https://a.example/"),
        await completed(t, "https://a.example/"),
      ];
      const began = t.clock.now();
      t.clock.advance(10);
      for (const id of [retried, given, done]) await deliveries.redeliver(id);
      await deliveries.mark(retried, retry(began, began + 60_000));
      await deliveries.mark(given, gaveUp(began));
      await deliveries.mark(done, delivered(began));
      for (const id of [retried, given]) {
        expect(await deliveries.get(id)).toMatchObject({ state: "pending", dueAt: began + 10, tries: 1 });
      }
      expect(await deliveries.get(done)).toMatchObject({ state: "delivered" });
    });
  });

  it("are not written to once the store is closed", async () => {
    const id = await completed(t, "https://a.example/");
    await t.store[Symbol.asyncDispose]();
    const { deliveries } = t.store;
    const refused = { code: "shutting_down" };
    await expect(deliveries.mark(id, delivered(t.clock.now()))).rejects.toMatchObject(refused);
    await expect(deliveries.redeliver(id)).rejects.toMatchObject(refused);
    await expect(deliveries.giveUp(0, 0, 1)).rejects.toMatchObject(refused);
  });
}

function ids(found: readonly { readonly id: string }[]): string[] {
  return found.map(({ id }) => id);
}
