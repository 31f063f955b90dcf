import { describe, expect, it } from "vitest";
import { COMPLETE, IMAGE } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** What ends a request without a worker: people and time. */
export function endings(t: StoreUnderTest): void {
  describe("ends a request from outside", () => {
    const cancel = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;

    it("by cancelling it while it waits or runs, once", async () => {
      const ids = [await t.enqueue(), await t.enqueue()];
      const { token } = await t.leaseOne();
      for (const id of ids) {
        expect(await t.store.finish(id, cancel)).toBe(true);
        expect(await t.store.finish(id, cancel)).toBe(false);
        expect(await t.store.status(id)).toMatchObject({ status: "FAILED", failure: cancel.failure });
      }
      expect(await t.store.settle(ids[0]!, token, COMPLETE)).toEqual({ ok: false, refusal: "finished" });
      expect(await t.lease()).toEqual([]);
    });

    it("by deleting it, whatever its state", async () => {
      const [running, waiting] = [await t.enqueue(), await t.enqueue()];
      const { token } = await t.leaseOne();
      for (const id of [running, waiting]) {
        expect(await t.store.finish(id, { type: "delete" })).toBe(true);
        expect(await t.store.status(id)).toBeUndefined();
        expect(await t.store.get(id)).toBeUndefined();
      }
      expect(await t.store.settle(running, token, COMPLETE)).toEqual({ ok: false, refusal: "unknown" });
      expect(await t.lease()).toEqual([]);
    });
  });

  describe("forgets an expired request", () => {
    it("in every read, before any sweep", async () => {
      const ids = [await t.enqueue(), await t.enqueue(), await t.enqueue()];
      const [first, second] = await t.lease(2);
      await t.store.settle(ids[0]!, first!.token, COMPLETE);
      t.clock.advance(3_600_000);
      for (const id of ids) {
        expect(await t.store.status(id)).toBeUndefined();
        expect(await t.store.get(id)).toBeUndefined();
      }
      expect(await t.lease()).toEqual([]);
      expect(await t.store.settle(ids[1]!, second!.token, COMPLETE)).toEqual({ ok: false, refusal: "unknown" });
      expect(await t.store.heartbeat([{ id: ids[1]!, token: second!.token }], 1_000)).toEqual([second!.token]);
      expect(t.store.stats().models.size).toBe(0);
    });

    it("for good, a slice at a time, naming those with files", async () => {
      const ids = [await t.enqueue({ hasFiles: true }), await t.enqueue(), await t.enqueue()];
      await t.store.settle(ids[0]!, (await t.leaseOne()).token, {
        type: "complete",
        result: IMAGE,
        inferenceMs: 1,
        hasFiles: false,
      });
      await t.store.settle(ids[1]!, (await t.leaseOne()).token, COMPLETE);
      expect(await t.store.finish(ids[0]!, { type: "expire" })).toBe(false);
      t.clock.advance(3_600_000);
      expect((await t.store.sweep(2)).expired).toMatchObject([
        { id: ids[0], hasFiles: true, status: "COMPLETED" },
        { id: ids[1], hasFiles: true, status: "COMPLETED" },
      ]);
      for (const id of ids.slice(0, 2)) expect(await t.store.finish(id, { type: "expire" })).toBe(true);
      expect((await t.store.sweep(2)).expired).toEqual([
        { id: ids[2], hasFiles: false, status: "QUEUED", owner: "alice", model: "mock" },
      ]);
      expect(await t.store.finish(ids[2]!, { type: "expire" })).toBe(true);
      expect(await t.store.finish(ids[2]!, { type: "expire" })).toBe(false);
      expect((await t.store.sweep(2)).expired).toEqual([]);
    });
  });

  describe("lets a request expire sooner", () => {
    it("than it would have, and never later", async () => {
      const id = await t.enqueue({ hasFiles: true });
      const [sooner, later] = [t.clock.now() + 60_000, t.clock.now() + 120_000];
      expect(await t.store.expireBy(id, later)).toBe(true);
      expect(await t.store.expireBy(id, sooner)).toBe(true);
      expect(await t.store.expireBy(id, later)).toBe(true);
      expect(await t.store.status(id)).toMatchObject({ expiresAt: sooner });
      expect(await t.store.get(id)).toMatchObject({ expiresAt: sooner });
      t.clock.advance(60_000);
      expect(await t.store.status(id)).toBeUndefined();
      expect(await t.lease()).toEqual([]);
      expect(await t.store.expireBy(id, later)).toBe(false);
      expect((await t.store.sweep(10)).expired).toMatchObject([{ id, hasFiles: true }]);
      expect(await t.store.finish(id, { type: "expire" })).toBe(true);
    });

    it("at once, where that time is over", async () => {
      const id = await t.enqueue();
      expect(await t.store.expireBy(id, t.clock.now())).toBe(true);
      expect(await t.store.get(id)).toBeUndefined();
    });
  });

  describe("sweeps", () => {
    it("what no worker leased before its start deadline", async () => {
      const late = await t.enqueue({ startDeadline: t.clock.now() + 1_000 });
      const patient = await t.enqueue();
      t.clock.advance(1_000);
      expect((await t.lease(1)).map(({ id }) => id)).toEqual([patient]);
      expect(await t.store.sweep(10)).toEqual({ lost: [], startTimedOut: [late], expired: [] });
      expect(await t.store.status(late)).toMatchObject({ status: "FAILED", failure: { code: "start_timeout" } });
    });

    it("no start deadline of a request that once ran", async () => {
      const id = await t.enqueue({ startDeadline: t.clock.now() + 1_000 });
      await t.store.settle(id, (await t.leaseOne()).token, { type: "release" });
      t.clock.advance(1_000);
      expect(await t.store.sweep(10)).toEqual({ lost: [], startTimedOut: [], expired: [] });
      expect((await t.leaseOne()).id).toBe(id);
    });

    it("lost leases back to the queue three times, then to FAILED", async () => {
      const id = await t.enqueue();
      for (const [crashes, wait] of [1_000, 5_000, 0].entries()) {
        expect((await t.leaseOne()).crashes).toBe(crashes);
        t.clock.advance(30_000);
        expect(await t.store.sweep(10)).toMatchObject({ lost: [id] });
        t.clock.advance(wait);
      }
      expect(await t.store.status(id)).toMatchObject({ status: "FAILED", failure: { code: "lease_lost" }, leases: 3 });
    });
  });
}
