import { describe, expect, it } from "vitest";
import type { StoreUnderTest } from "./under-test.ts";

/** How requests are handed to workers, and what keeps them there. */
export function leases(t: StoreUnderTest): void {
  describe("leases", () => {
    it("by priority, then the oldest first, and each once", async () => {
      const ids = [
        await t.enqueue(),
        await t.enqueue({ priority: 1 }),
        await t.enqueue(),
        await t.enqueue({ priority: 1 }),
      ];
      expect((await t.lease(3)).map(({ id }) => id)).toEqual([ids[1], ids[3], ids[0]]);
      expect((await t.lease()).map(({ id }) => id)).toEqual([ids[2]]);
      expect(await t.lease()).toEqual([]);
    });

    it("at most as many as are wished for of each model, and none of another", async () => {
      for (const model of ["a", "a", "a", "b", "c"]) await t.enqueue({ model });
      const capacity = new Map([["a", 2], ["b", 2], ["d", 2]]); // prettier-ignore
      const leases = await t.store.lease({ worker: "w1", capacity, leaseMs: 1_000, durable: false });
      expect(leases.map(({ model }) => model)).toEqual(["a", "a", "b"]);
    });

    it("with all that a run needs, a new token each time, and counts them", async () => {
      const id = await t.enqueue();
      t.clock.advance(2_000);
      const first = await t.leaseOne();
      expect(first).toMatchObject({
        id,
        model: "mock",
        owner: "alice",
        attempt: 1,
        crashes: 0,
        input: { json: '{"prompt":"a red rose"}' },
      });
      expect(first).toMatchObject({ createdAt: t.clock.now() - 2_000, deadline: t.clock.now() + 30_000 });
      expect(first.token).toMatch(/^[0-9a-f]{32}$/);
      expect(await t.store.status(id)).toMatchObject({ status: "PROCESSING", startedAt: t.clock.now(), leases: 1 });
      await t.store.settle(id, first.token, { type: "release" });
      const second = await t.leaseOne();
      expect(second).toMatchObject({ attempt: 2, crashes: 0 });
      expect(second.token).not.toBe(first.token);
    });

    it("with the longest run that the client asked for, each time", async () => {
      const id = await t.enqueue({ runTimeoutMs: 2_500 });
      const { token, runTimeoutMs } = await t.leaseOne();
      expect(runTimeoutMs).toBe(2_500);
      await t.store.settle(id, token, { type: "release" });
      expect(await t.leaseOne()).toMatchObject({ id, runTimeoutMs: 2_500 });
    });

    it("to nobody before its time", async () => {
      const id = await t.enqueue({ notBefore: t.clock.now() + 10_000 });
      expect(await t.lease()).toEqual([]);
      t.clock.advance(10_000);
      expect((await t.lease()).map((l) => l.id)).toEqual([id]);
    });

    it("to one of two workers that ask at once", async () => {
      await t.enqueue();
      const both = await Promise.all([t.lease(), t.lease()]);
      expect(both.flat()).toHaveLength(1);
    });
  });

  describe("keeps a lease alive", () => {
    it("by heartbeats, and names those that no longer hold", async () => {
      const id = await t.enqueue();
      const { token } = await t.leaseOne();
      t.clock.advance(29_000);
      expect(await t.store.heartbeat([{ id, token }, { id, token: "0".repeat(32) }], 30_000)).toEqual(["0".repeat(32)]); // prettier-ignore
      t.clock.advance(29_000);
      expect(await t.store.sweep(10)).toMatchObject({ lost: [] });
      t.clock.advance(1_000);
      expect(await t.store.sweep(10)).toMatchObject({ lost: [id] });
      expect(await t.store.heartbeat([{ id, token }], 30_000)).toEqual([token]);
      expect(await t.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 1, crashes: 1 });
    });
  });
}
