import { describe, expect, it } from "vitest";
import type { Submission } from "../../core/request.ts";
import { COMPLETE } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** What an idempotency key keeps from happening twice. */
export function idempotency(t: StoreUnderTest): void {
  function keyed(over: Partial<Submission> = {}): Submission {
    return t.submission({ idempotencyKey: "order 7", idempotencyDigest: "d1", ...over });
  }

  describe("takes an idempotency key once", () => {
    it("and names the request that has it, whatever its state, leaving nothing of the second", async () => {
      const first = keyed();
      const held = { ok: false, id: first.id, idempotencyDigest: "d1" };
      await t.store.enqueue(first);
      const second = keyed({ idempotencyDigest: "d2", model: "other" });
      expect(await t.store.enqueue(second)).toEqual(held);
      const { token } = await t.leaseOne();
      expect(await t.store.enqueue(keyed())).toEqual(held);
      await t.store.settle(first.id, token, COMPLETE);
      expect(await t.store.enqueue(keyed())).toEqual(held);
      expect(await t.store.get(second.id)).toBeUndefined();
      expect(t.store.stats().models.size).toBe(0);
    });

    it("when a thousand come at once: one request", async () => {
      const asked = Array.from({ length: 1_000 }, () => keyed());
      const answers = await Promise.all(asked.map((each) => t.store.enqueue(each)));
      const [accepted, ...more] = asked.filter((_, i) => answers[i]!.ok);
      expect(more).toEqual([]);
      const held = { ok: false, id: accepted!.id, idempotencyDigest: "d1" };
      for (const answer of answers) if (!answer.ok) expect(answer).toEqual(held);
      expect((await t.lease()).map(({ id }) => id)).toEqual([accepted!.id]);
    });

    it("of each owner", async () => {
      await t.enqueue({ idempotencyKey: "order 7", idempotencyDigest: "d1", owner: "alice" });
      await t.enqueue({ idempotencyKey: "order 7", idempotencyDigest: "d1", owner: "bob" });
      await t.enqueue({ idempotencyKey: "order 8", idempotencyDigest: "d1", owner: "bob" });
    });

    it("until its request is deleted", async () => {
      const first = keyed();
      await t.store.enqueue(first);
      await t.store.finish(first.id, { type: "delete" });
      expect(await t.store.enqueue(keyed())).toEqual({ ok: true });
    });

    it("until its request has expired, swept or not", async () => {
      await t.store.enqueue(keyed());
      t.clock.advance(3_600_000);
      const next = keyed();
      expect(await t.store.enqueue(next)).toEqual({ ok: true });
      expect(await t.store.enqueue(keyed())).toEqual({ ok: false, id: next.id, idempotencyDigest: "d1" });
    });
  });
}
