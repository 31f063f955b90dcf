import { describe, expect, it } from "vitest";
import type { Wake } from "../store/store.ts";
import { deadLetters } from "./store-suite/dead-letters.ts";
import { endings } from "./store-suite/endings.ts";
import { idempotency } from "./store-suite/idempotency.ts";
import { leases } from "./store-suite/leases.ts";
import { lists } from "./store-suite/lists.ts";
import { load } from "./store-suite/load.ts";
import { order } from "./store-suite/order.ts";
import { settling } from "./store-suite/settling.ts";
import { sharing } from "./store-suite/sharing.ts";
import { keepsSubmissions } from "./store-suite/submissions.ts";
import { COMPLETE, StoreUnderTest } from "./store-suite/under-test.ts";
import type { StoreFactory } from "./store-suite/under-test.ts";

/** What every driver of the request store must do. */
export function storeSuite(name: string, open: StoreFactory): void {
  describe(`the ${name} store`, () => {
    const t = new StoreUnderTest(open);
    keepsSubmissions(t);
    idempotency(t);
    leases(t);
    order(t);
    sharing(t);
    settling(t);
    endings(t);
    deadLetters(t);
    lists(t);
    load(t);

    it("counts what waits and runs of each model, and since when", async () => {
      const since = t.clock.now();
      await t.enqueue();
      t.clock.advance(100);
      await t.enqueue();
      await t.enqueue({ model: "other" });
      await t.lease(1);
      expect(Object.fromEntries(t.store.stats().models)).toEqual({
        mock: { queued: 1, processing: 1, oldestCreatedAt: since + 100 },
        other: { queued: 1, processing: 0, oldestCreatedAt: since + 100 },
      });
    });

    it("hints when something is queued, is leased, goes back, and is finished", async () => {
      const heard: Wake[] = [];
      const stop = t.store.onWake?.((wake) => heard.push(wake));
      if (stop === undefined) return;
      const id = await t.enqueue();
      expect(heard.splice(0)).toEqual([{ type: "queued", model: "mock" }]);
      const { token } = await t.leaseOne();
      expect(heard.splice(0)).toEqual([{ type: "changed", id }]);
      await t.store.heartbeat([{ id, token }], 30_000);
      expect(heard).toEqual([]);
      await t.store.settle(id, token, { type: "release" });
      expect(heard.splice(0)).toEqual([
        { type: "queued", model: "mock" },
        { type: "changed", id },
      ]);
      await t.leaseOne();
      t.clock.advance(30_000);
      heard.splice(0);
      await t.store.sweep(10);
      expect(heard.splice(0)).toContainEqual({ type: "changed", id });
      t.clock.advance(1_000);
      await t.store.settle(id, (await t.leaseOne()).token, COMPLETE);
      expect(heard.splice(0).at(-1)).toEqual({ type: "finished", id });
      stop();
      await t.enqueue();
      expect(heard).toEqual([]);
    });

    it("hints when a request is gone", async () => {
      const heard: Wake[] = [];
      const [deleted, expired] = [await t.enqueue(), await t.enqueue()];
      if (t.store.onWake?.((wake) => heard.push(wake)) === undefined) return;
      await t.store.finish(deleted, { type: "delete" });
      expect(heard.splice(0)).toEqual([{ type: "finished", id: deleted }]);
      t.clock.advance(3_600_000);
      await t.store.finish(expired, { type: "expire" });
      expect(heard).toEqual([{ type: "finished", id: expired }]);
    });

    it("takes no more once it is closed", async () => {
      await t.enqueue();
      await t.store[Symbol.asyncDispose]();
      await expect(t.lease()).rejects.toMatchObject({ code: "shutting_down" });
      await expect(t.store.enqueue(t.submission())).rejects.toMatchObject({ code: "shutting_down" });
    });
  });
}
