import { describe, expect, it } from "vitest";
import type { Submission } from "../../core/request.ts";
import { COMPLETE, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** How keys share a model. A request is named by its key and its number there: `ann0`, `bob0`, `ann1`. */
export function sharing(t: StoreUnderTest): void {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();

  const enqueue = async (key: string, count = 1, over: Partial<Submission> = {}): Promise<void> => {
    for (let left = count; left > 0; left--) {
      const number = counts.get(key) ?? 0;
      counts.set(key, number + 1);
      names.set(await t.enqueue({ key, ...over }), `${key}${number}`);
    }
  };
  const leased = async (most: number): Promise<string> => {
    const leases = await t.lease(most);
    return leases.map(({ id }) => names.get(id)).join(" ");
  };
  const idOf = (name: string): string => [...names].findLast(([, other]) => other === name)![0];
  const positions = (...of: string[]): unknown[] => of.map((name) => t.store.outlook?.(idOf(name))?.position);
  const begin = (): void => {
    names.clear();
    counts.clear();
  };

  describe("shares a model between keys", () => {
    it("so that a single request is not behind another key's flood", async () => {
      begin();
      await enqueue("ann", 100);
      await enqueue("bob");
      expect(await leased(3)).toBe("ann0 bob0 ann1");
    });

    it("so that two floods take turns, and every eighth lease is still the oldest request's", async () => {
      begin();
      await enqueue("ann", 20);
      await enqueue("bob", 20);
      expect(await leased(7)).toBe("ann0 bob0 ann1 bob1 ann2 bob2 ann3");
      expect(await leased(4)).toBe("ann4 bob3 ann5 bob4");
    });

    it("in the same turns, however many are leased at once", async () => {
      begin();
      await enqueue("ann", 3);
      await enqueue("bob", 2);
      await enqueue("cid", 1);
      for (const expected of ["ann0", "bob0", "cid0", "ann1", "bob1", "ann2", ""])
        expect(await leased(1)).toBe(expected);
    });

    it("by the key, not by the owner", async () => {
      begin();
      await enqueue("ann", 3, { owner: "carol" });
      await enqueue("bob", 2, { owner: "carol" });
      await enqueue("ann", 1, { owner: "dave" });
      expect(await leased(7)).toBe("ann0 bob0 ann1 bob1 ann2 ann3");
    });

    it("within one priority: what is more urgent goes first, whose ever it is", async () => {
      begin();
      await enqueue("ann", 2);
      await enqueue("bob", 2);
      await enqueue("ann", 3, { priority: 1 });
      expect(await leased(3)).toBe("ann2 ann3 ann4");
      // Those were turns among the urgent ones; among the others nobody has had one.
      expect(await leased(4)).toBe("ann0 bob0 ann1 bob1");
    });

    it("of each model for itself", async () => {
      begin();
      await enqueue("ann", 1, { model: "other" });
      await t.lease(1, "other");
      await enqueue("ann", 1);
      await enqueue("bob", 1);
      expect(await leased(2)).toBe("ann1 bob0");
    });

    it("so that a key with nothing to run is passed over, and has its turn as soon as it has", async () => {
      begin();
      await enqueue("ann", 9);
      await enqueue("bob", 1, { notBefore: t.clock.now() + 1_000 });
      expect(await leased(3)).toBe("ann0 ann1 ann2");
      t.clock.advance(1_000);
      expect(await leased(2)).toBe("bob0 ann3");
    });

    it("so that a request that is back has its key's next turn", async () => {
      begin();
      await enqueue("ann", 3);
      await enqueue("bob", 3);
      const [ann0, bob0] = await t.lease(2);
      await t.store.settle(ann0!.id, ann0!.token, { type: "release" });
      await t.store.settle(bob0!.id, bob0!.token, failed("retryable", 1_000));
      expect(await leased(3)).toBe("ann0 bob1 ann1");
      t.clock.advance(1_000);
      expect(await leased(3)).toBe("bob0 ann2 bob2");
    });

    it("so that what was cancelled or expired takes nobody's turn", async () => {
      begin();
      await enqueue("ann", 1, { startDeadline: t.clock.now() + 1_000 });
      await enqueue("bob", 1, { expiresAt: t.clock.now() + 1_000 });
      await enqueue("cid", 2);
      await enqueue("ann", 2);
      await enqueue("bob", 2);
      await t.store.finish(idOf("cid0"), { type: "delete" });
      t.clock.advance(1_000);
      expect(await leased(5)).toBe("cid1 ann1 bob1 ann2 bob2");
    });

    it("so that nobody comes first by coming anew", async () => {
      begin();
      await enqueue("ann", 3);
      await enqueue("bob", 1);
      expect(await leased(2)).toBe("ann0 bob0");
      await enqueue("bob", 1);
      expect(await leased(2)).toBe("ann1 bob1");
      for (const { id, token } of await t.lease(1)) await t.store.settle(id, token, COMPLETE);
      await enqueue("bob", 1);
      await enqueue("ann", 1);
      expect(await leased(2)).toBe("bob2 ann3");
    });

    it("of which there are many, and all have gone home meanwhile", async () => {
      begin();
      const keys = Array.from({ length: 40 }, (_, number) => `key${number}-`);
      for (const key of keys) await enqueue(key);
      for (const { id, token } of await t.lease(40)) await t.store.settle(id, token, COMPLETE);
      for (const key of keys.toReversed()) await enqueue(key);
      // In the order of the turns that they had; the eighth is the oldest's.
      expect(await leased(8)).toBe("key0-1 key1-1 key2-1 key3-1 key4-1 key5-1 key6-1 key39-1");
    });
  });

  describe("tells, where it can, a position by the turns", () => {
    it("of one key behind the flood of another", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      begin();
      await enqueue("ann", 9);
      await enqueue("bob", 2);
      await enqueue("cid", 1);
      expect(positions("ann0", "ann8", "bob0", "bob1", "cid0")).toEqual([1, 9, 2, 4, 3]);
      expect(await leased(3)).toBe("ann0 bob0 cid0");
      expect(positions("ann1", "bob1")).toEqual([1, 2]);
    });

    it("that is below all of a higher priority", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      begin();
      await enqueue("ann", 3, { priority: 1 });
      await enqueue("ann", 4);
      await enqueue("bob", 1);
      expect(positions("bob0")).toEqual([5]);
    });

    it("that does not rise when other keys come", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      begin();
      await enqueue("ann", 3);
      for (const key of ["bob", "cid", "dot"]) await enqueue(key, 3);
      expect(positions("ann0", "ann1", "ann2")).toEqual([1, 2, 3]);
    });
  });
}
