import { describe, expect, it } from "vitest";
import { COMPLETE, IMAGE, failed } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** How a lease ends. */
export function settling(t: StoreUnderTest): void {
  describe("settles", () => {
    it("a completed request with its result", async () => {
      const id = await t.enqueue();
      const { token } = await t.leaseOne();
      t.clock.advance(50);
      expect(await t.store.settle(id, token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
      expect(await t.store.status(id)).toMatchObject({
        status: "COMPLETED",
        inferenceMs: 40,
        finishedAt: t.clock.now(),
      });
      expect(await t.store.get(id)).toMatchObject({ result: IMAGE, lease: null, attempts: 1, hasFiles: false });
    });

    it("a model's own error for good", async () => {
      const id = await t.enqueue();
      const { token } = await t.leaseOne();
      expect(await t.store.settle(id, token, failed("error"))).toEqual({ ok: true, status: "FAILED" });
      const failure = { code: "model_error", message: "The image is empty." };
      expect(await t.store.status(id)).toMatchObject({ status: "FAILED", failure, inferenceMs: 5 });
      expect(await t.store.get(id)).toMatchObject({ failure, attempts: 1, crashes: 0 });
    });

    it("a crash by trying again after 1 s and 5 s, and then no more", async () => {
      const id = await t.enqueue();
      for (const [crashes, wait] of [1_000, 5_000].entries()) {
        const leased = await t.leaseOne();
        expect(leased.crashes).toBe(crashes);
        expect(await t.store.settle(id, leased.token, failed("crash"))).toEqual({ ok: true, status: "QUEUED" });
        t.clock.advance(wait - 1);
        expect(await t.lease()).toEqual([]);
        t.clock.advance(1);
      }
      expect(await t.store.settle(id, (await t.leaseOne()).token, failed("crash"))).toEqual({
        ok: true,
        status: "FAILED",
      });
      expect(await t.store.get(id)).toMatchObject({ attempts: 3, crashes: 3, leases: 3 });
    });

    it("a crash or a lost lease as often, and after such waits, as its model's policy says", async () => {
      const id = await t.enqueue({ model: "stubborn" });
      for (const [crashes, wait] of [100_000, 300_000, 300_000, 300_000].entries()) {
        const [lease] = await t.lease(1, "stubborn");
        if (crashes % 2 === 0) await t.store.settle(id, lease!.token, failed("crash"));
        else {
          t.clock.advance(30_000);
          await t.store.sweep(10);
        }
        t.clock.advance(wait - 1);
        expect(await t.lease(1, "stubborn")).toEqual([]);
        t.clock.advance(1);
      }
      const [last] = await t.lease(1, "stubborn");
      await t.store.settle(id, last!.token, failed("crash"));
      expect(await t.store.get(id)).toMatchObject({ status: "FAILED", attempts: 5, crashes: 5 });
    });

    it("a retryable error for good where the model's policy says so", async () => {
      const id = await t.enqueue({ model: "stubborn" });
      const [lease] = await t.lease(1, "stubborn");
      expect(await t.store.settle(id, lease!.token, failed("retryable", 10))).toEqual({ ok: true, status: "FAILED" });
      expect(await t.store.get(id)).toMatchObject({ attempts: 1, crashes: 0, deadLetter: "open" });
    });

    it("a retryable error after the delay that the model named", async () => {
      const id = await t.enqueue();
      await t.store.settle(id, (await t.leaseOne()).token, failed("retryable", 60_000));
      t.clock.advance(59_999);
      expect(await t.lease()).toEqual([]);
      t.clock.advance(1);
      expect((await t.leaseOne()).id).toBe(id);
    });

    it("a release at once and at no cost", async () => {
      const id = await t.enqueue();
      expect(await t.store.settle(id, (await t.leaseOne()).token, { type: "release" })).toEqual({
        ok: true,
        status: "QUEUED",
      });
      expect(await t.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0, leases: 1 });
      expect((await t.leaseOne()).id).toBe(id);
    });

    it("nothing for a worker whose lease is another's, or over", async () => {
      const id = await t.enqueue();
      const late = await t.leaseOne();
      t.clock.advance(30_000);
      await t.store.sweep(10);
      t.clock.advance(1_000);
      const { token } = await t.leaseOne();
      expect(await t.store.settle(id, late.token, COMPLETE)).toEqual({ ok: false, refusal: "fenced" });
      expect((await t.store.get(id))?.result).toBeNull();
      expect(await t.store.settle(id, token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
      expect(await t.store.settle(id, token, failed("error"))).toEqual({ ok: false, refusal: "finished" });
    });

    it("a lease handed out before it was durable", async () => {
      const id = await t.enqueue();
      const [lease] = await t.store.lease({
        worker: "w1",
        capacity: new Map([["mock", 1]]),
        leaseMs: 1_000,
        durable: false,
      });
      expect(await t.store.settle(id, lease!.token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
    });
  });
}
