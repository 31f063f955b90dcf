import { describe, expect, it } from "vitest";
import type { Submission } from "../../core/request.ts";
import type { Outlook } from "../../store/store.ts";
import { COMPLETE, UNKNOWN, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** Who is next, and what is told of that to those who wait. */
export function order(t: StoreUnderTest): void {
  const enqueue = async (count: number, over: Partial<Submission> = {}): Promise<string[]> => {
    const ids: string[] = [];
    while (ids.length < count) ids.push(await t.enqueue(over));
    return ids;
  };
  const outlook = (id: string): Outlook | undefined => t.store.outlook?.(id);
  const told = (ids: readonly string[]): unknown[] => ids.map((id) => outlook(id)?.position);
  const leased = async (most: number): Promise<string[]> => (await t.lease(most)).map(({ id }) => id);

  describe("leases in turn", () => {
    it("high, normal and low, but every eighth to the oldest, so that none waits for ever", async () => {
      const [low] = await enqueue(1, { priority: -1 });
      const normal = await enqueue(3);
      const high = await enqueue(20, { priority: 1 });
      expect(await leased(7)).toEqual(high.slice(0, 7));
      expect(await leased(9)).toEqual([low, ...high.slice(7, 14), normal[0]]);
      expect(await leased(100)).toEqual([...high.slice(14), normal[1], normal[2]]);
    });

    it("each model for itself", async () => {
      await enqueue(7, { model: "other" });
      await t.lease(7, "other");
      const [low] = await enqueue(1, { priority: -1 });
      const [high] = await enqueue(1, { priority: 1 });
      expect(await leased(2)).toEqual([high, low]);
    });

    it("none that should have started before, unless it once did", async () => {
      const [late] = await enqueue(1, { startDeadline: t.clock.now() + 1_000 });
      const [patient, retried] = [
        await t.enqueue(),
        await t.enqueue({ startDeadline: t.clock.now() + 1_000, priority: 1 }),
      ];
      await t.store.settle(retried, (await t.leaseOne()).token, { type: "release" });
      t.clock.advance(1_000);
      expect(await leased(10)).toEqual([retried, patient]);
      expect(await t.store.status(late!)).toMatchObject({ status: "QUEUED" }); // the sweep's to end
    });
  });

  describe("tells, where it can", () => {
    it("how many of its priority and the higher ones are before a request, itself included", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      const normal = await enqueue(3);
      const high = await enqueue(2, { priority: 1 });
      const low = await enqueue(1, { priority: -1 });
      await enqueue(4, { model: "other" });
      expect(told([...normal, ...high, ...low])).toEqual([1, 2, 3, 1, 2, 6]);
      await t.lease(3);
      expect(told([...normal, ...high, ...low])).toEqual([null, 1, 2, null, null, 3]);
    });

    it("never more than before, though others go first or come back", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      const ids = await enqueue(3);
      const { token } = await t.leaseOne();
      expect(told(ids)).toEqual([null, 1, 2]);
      await enqueue(3, { priority: 1 });
      await t.store.settle(ids[0]!, token, { type: "release" });
      expect(told(ids)).toEqual([1, 1, 2]);
    });

    it("when it waits for its next try", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      const id = await t.enqueue();
      expect(outlook(id)).toMatchObject({ position: 1, delayed: false });
      await t.store.settle(id, (await t.leaseOne()).token, failed("retryable", 10_000));
      expect(outlook(id)).toMatchObject({ position: 1, delayed: true });
      t.clock.advance(10_000);
      expect(outlook(id)).toMatchObject({ position: 1, delayed: false });
    });

    it("nothing of what is finished, expired or unknown", async ({ skip }) => {
      skip(t.store.outlook === undefined, "this driver tells nothing");
      const [finished, waiting] = [await t.enqueue(), await t.enqueue()];
      const { token } = await t.leaseOne();
      expect(outlook(finished)).toEqual({ position: null, delayed: false, remainingMs: null });
      await t.store.settle(finished, token, COMPLETE);
      t.clock.advance(3_600_000);
      for (const id of [finished, waiting, UNKNOWN, "x"]) expect(outlook(id)).toBeUndefined();
    });
  });
}
