import { describe, expect, it } from "vitest";
import { UNKNOWN } from "./under-test.ts";
import type { StoreUnderTest } from "./under-test.ts";

/** What is taken in, and what is known of it. */
export function keepsSubmissions(t: StoreUnderTest): void {
  describe("keeps a submission", () => {
    it("as QUEUED, word for word", async () => {
      const asked = t.submission({
        owner: "bob",
        priority: -1,
        hasFiles: true,
        input: { json: '{"text":"näh 🌹"}' },
        startDeadline: t.clock.now() + 5_000,
        idempotencyKey: "k",
        idempotencyDigest: "d",
        key: "laptop",
        webhook: { url: "https://example.org", events: ["completed"], body: "thin" },
        publicBase: "https://inferq.example.org",
      });
      await t.store.enqueue(asked);
      expect(await t.store.get(asked.id)).toMatchObject({ ...asked, status: "QUEUED", attempts: 0, result: null });
      expect(await t.store.status(asked.id)).toEqual({
        id: asked.id,
        owner: "bob",
        model: "mock",
        status: "QUEUED",
        createdAt: asked.createdAt,
        startedAt: null,
        finishedAt: null,
        inferenceMs: null,
        leases: 0,
        failure: null,
        expiresAt: asked.expiresAt,
      });
    });

    it("whose input is a file", async () => {
      const id = await t.enqueue({ input: { key: "a/0/b.json" } });
      expect((await t.store.get(id))?.input).toEqual({ key: "a/0/b.json" });
      expect((await t.leaseOne()).input).toEqual({ key: "a/0/b.json" });
    });

    it("and refuses one whose id is taken, without touching its neighbours", async () => {
      const [first, second, third] = [t.submission(), t.submission(), t.submission()];
      await t.store.enqueue(first);
      const answers = await Promise.allSettled(
        [second, { ...first, model: "other" }, third].map((s) => t.store.enqueue(s)),
      );
      expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect((await t.store.status(first.id))?.model).toBe("mock");
      expect((await t.lease()).map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
    });

    it("and knows nothing of other ids, whatever their form", async () => {
      for (const id of [UNKNOWN, "", "x", "2c7f59ea-13f1-402c-9353-915a2b5a2124", UNKNOWN.toUpperCase()]) {
        expect(await t.store.status(id)).toBeUndefined();
        expect(await t.store.get(id)).toBeUndefined();
        expect(await t.store.settle(id, "token", { type: "release" })).toEqual({ ok: false, refusal: "unknown" });
        expect(await t.store.finish(id, { type: "delete" })).toBe(false);
        expect(await t.store.heartbeat([{ id, token: "token" }], 1_000)).toEqual(["token"]);
      }
    });
  });
}
