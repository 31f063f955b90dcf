import { describe, expect, it } from "vitest";
import { COMPLETE, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** What limits go by: how many requests wait, and how many of a key have no outcome. */
export function load(t: StoreUnderTest): void {
  const told = (): unknown => {
    const load = t.store.load;
    return (
      load && {
        waiting: load.waiting,
        mock: load.waitingFor("mock"),
        other: load.waitingFor("other"),
        alice: load.unfinishedOf("alice"),
        bob: load.unfinishedOf("bob"),
      }
    );
  };

  describe("tells its load, where it can", () => {
    it("by model and by key, whoever the owner is", async ({ skip }) => {
      skip(t.store.load === undefined, "this driver cannot tell");
      expect(told()).toEqual({ waiting: 0, mock: 0, other: 0, alice: 0, bob: 0 });
      await t.enqueue();
      await t.enqueue({ model: "other" });
      await t.enqueue({ key: "bob" });
      expect(told()).toEqual({ waiting: 3, mock: 2, other: 1, alice: 2, bob: 1 });
      const refused = t.submission({ idempotencyKey: "k", idempotencyDigest: "d" });
      await t.store.enqueue(refused);
      await t.store.enqueue(t.submission({ idempotencyKey: "k", idempotencyDigest: "d" }));
      expect(told()).toEqual({ waiting: 4, mock: 3, other: 1, alice: 3, bob: 1 });
    });

    it("as requests run, come back and end", async ({ skip }) => {
      skip(t.store.load === undefined, "this driver cannot tell");
      await t.enqueue();
      const later = await t.enqueue({ notBefore: t.clock.now() + 1_000 });
      expect(told()).toMatchObject({ waiting: 2, mock: 2, alice: 2 });
      const first = await t.leaseOne();
      expect(told()).toMatchObject({ waiting: 1, mock: 1, alice: 2 });
      await t.store.settle(first.id, first.token, failed("retryable", 500));
      expect(told()).toMatchObject({ waiting: 2, mock: 2, alice: 2 });
      t.clock.advance(500);
      const again = await t.leaseOne();
      await t.store.heartbeat([again], 60_000);
      await t.store.settle(again.id, again.token, COMPLETE);
      expect(told()).toMatchObject({ waiting: 1, mock: 1, alice: 1 });
      const failure = { code: "cancelled", message: "No." } as const;
      await t.store.finish(later, { type: "cancel", failure });
      expect(told()).toMatchObject({ waiting: 0, mock: 0, alice: 0 });
      await t.store.finish(later, { type: "delete" });
      expect(told()).toMatchObject({ waiting: 0, mock: 0, alice: 0 });
    });

    it("and forgets whatever is removed, be it that it waits, runs or has expired", async ({ skip }) => {
      skip(t.store.load === undefined, "this driver cannot tell");
      const running = await t.enqueue();
      await t.leaseOne();
      const [waiting, expiring] = [await t.enqueue(), await t.enqueue()];
      await t.store.finish(running, { type: "delete" });
      await t.store.finish(waiting, { type: "delete" });
      expect(told()).toMatchObject({ waiting: 1, mock: 1, alice: 1 });
      t.clock.advance(3_600_000);
      await t.store.finish(expiring, { type: "expire" });
      expect(told()).toMatchObject({ waiting: 0, mock: 0, alice: 0 });
    });
  });
}
