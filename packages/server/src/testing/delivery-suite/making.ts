import { describe, expect, it } from "vitest";
import type { Outcome } from "../../store/deliveries.ts";
import { COMPLETE, failed, IMAGE } from "../store-suite/under-test.ts";
import type { StoreUnderTest } from "../store-suite/under-test.ts";
import { completed, telling } from "./told.ts";

const CANCEL = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;
const HOOK = "https://hooks.example:8443/inferq?tenant=7";

/** A delivery is made by the write that ends its request, once, and by nothing else. */
export function makesDeliveries(t: StoreUnderTest): void {
  async function outcome(id: string): Promise<Outcome | undefined> {
    return (await t.store.deliveries.get(id))?.outcome;
  }

  describe("are made by the write that ends a request", () => {
    it("and hold all that there is to be told", async () => {
      const createdAt = t.clock.now();
      const id = await t.enqueue(telling(HOOK, { body: "thin" }));
      t.clock.advance(20);
      const { token } = await t.leaseOne();
      expect(await t.store.deliveries.get(id)).toBeUndefined();
      t.clock.advance(50);
      await t.store.settle(id, token, COMPLETE);
      const now = t.clock.now();
      expect(await t.store.deliveries.get(id)).toEqual({
        id,
        owner: "alice",
        event: "completed",
        url: HOOK,
        createdAt: now,
        askedAt: now,
        state: "pending",
        tries: 0,
        dueAt: now,
        attempts: [],
        body: "thin",
        base: "https://api.example",
        outcome: {
          model: "mock",
          status: "COMPLETED",
          createdAt,
          startedAt: createdAt + 20,
          finishedAt: now,
          inferenceMs: 40,
          result: IMAGE,
          failure: null,
        },
      });
      expect(t.store.deliveries.pending).toBe(1);
    });

    it("that failed for good, or whose tries are used up", async () => {
      const [wrong, unlucky] = [await t.enqueue(telling(HOOK)), await t.enqueue(telling(HOOK))];
      await t.store.settle(wrong, (await t.leaseOne()).token, failed("error"));
      for (let crash = 0; crash < 3; crash++) {
        expect(await outcome(unlucky)).toBeUndefined();
        await t.store.settle(unlucky, (await t.leaseOne()).token, failed("crash"));
        t.clock.advance(5_000);
      }
      for (const id of [wrong, unlucky]) {
        expect(await outcome(id)).toMatchObject({ status: "FAILED", inferenceMs: 5, failure: { code: "model_error" } });
        expect(await t.store.deliveries.get(id)).toMatchObject({ event: "failed" });
      }
    });

    it("whose worker went silent for the last time", async () => {
      const id = await t.enqueue(telling(HOOK));
      for (let lost = 0; lost < 3; lost++) {
        await t.leaseOne();
        expect(await outcome(id)).toBeUndefined();
        t.clock.advance(30_000);
        expect(await t.store.sweep(10)).toMatchObject({ lost: [id] });
        t.clock.advance(5_000);
      }
      expect(await outcome(id)).toMatchObject({ status: "FAILED", result: null, failure: { code: "lease_lost" } });
    });

    it("that was cancelled, or did not start in time", async () => {
      const [cancelled, late] = [
        await t.enqueue(telling(HOOK)),
        await t.enqueue({ ...telling(HOOK), startDeadline: t.clock.now() + 1_000 }),
      ];
      await t.store.finish(cancelled, CANCEL);
      t.clock.advance(1_000);
      await t.store.sweep(10);
      expect(await outcome(cancelled)).toMatchObject({ startedAt: null, failure: CANCEL.failure });
      expect(await outcome(late)).toMatchObject({ startedAt: null, failure: { code: "start_timeout" } });
      expect(t.store.deliveries.pending).toBe(2);
    });

    it("that expires unfinished, which is gone with it", async () => {
      const [running, waiting] = [await t.enqueue(telling(HOOK)), await t.enqueue(telling(HOOK))];
      const startedAt = t.clock.now();
      const { token } = await t.leaseOne();
      t.clock.advance(3_600_000);
      expect(await outcome(running)).toBeUndefined();
      const { expired } = await t.store.sweep(10);
      expect(expired.map(({ id, status }) => [id, status])).toEqual([
        [running, "PROCESSING"],
        [waiting, "QUEUED"],
      ]);
      for (const { id } of expired) {
        expect(await t.store.finish(id, { type: "expire" })).toBe(true);
        expect(await t.store.finish(id, { type: "expire" })).toBe(false);
        expect(await t.store.get(id)).toBeUndefined();
      }
      expect(await t.store.settle(running, token, COMPLETE)).toEqual({ ok: false, refusal: "unknown" });
      const ended = { model: "mock", status: "FAILED", createdAt: startedAt, finishedAt: t.clock.now() };
      const failure = { code: "expired", message: "The request expired before it had an outcome." };
      const told = { ...ended, inferenceMs: null, result: null, failure };
      expect(await outcome(running)).toEqual({ ...told, startedAt });
      expect(await outcome(waiting)).toEqual({ ...told, startedAt: null });
      expect(await t.store.deliveries.get(running)).toMatchObject({ event: "failed", createdAt: t.clock.now() });
    });
  });

  describe("are not made", () => {
    it("of a request that goes back to the queue", async () => {
      const id = await t.enqueue(telling(HOOK));
      await t.store.settle(id, (await t.leaseOne()).token, { type: "release" });
      await t.store.settle(id, (await t.leaseOne()).token, failed("retryable"));
      expect(await t.store.deliveries.get(id)).toBeUndefined();
      expect(t.store.deliveries.pending).toBe(0);
    });

    it("of outcomes that nobody asked to hear of", async () => {
      const silent = await t.enqueue();
      const failures = await t.enqueue(telling(HOOK, { events: ["failed"] }));
      for (const { id, token } of await t.lease(2)) await t.store.settle(id, token, COMPLETE);
      const completions = [0, 1, 2].map(() => t.enqueue(telling(HOOK, { events: ["completed"] })));
      const [wrong, cancelled, expired] = (await Promise.all(completions)) as [string, string, string];
      await t.store.settle(wrong, (await t.leaseOne()).token, failed("error"));
      await t.store.finish(cancelled, CANCEL);
      await t.store.expireBy(expired, t.clock.now());
      expect(await t.store.finish(expired, { type: "expire" })).toBe(true);
      for (const id of [silent, failures, wrong, cancelled, expired]) expect(await outcome(id)).toBeUndefined();
      expect(t.store.deliveries.pending).toBe(0);
    });

    it("by a settle that is refused, or comes again", async () => {
      const id = await t.enqueue(telling(HOOK));
      const first = await t.leaseOne();
      await t.store.settle(id, first.token, { type: "release" });
      const { token } = await t.leaseOne();
      expect(await t.store.settle(id, first.token, COMPLETE)).toMatchObject({ ok: false });
      expect(await outcome(id)).toBeUndefined();
      await t.store.settle(id, token, COMPLETE);
      t.clock.advance(10);
      for (const again of [COMPLETE, failed("error")]) expect(await t.store.settle(id, token, again)).toMatchObject({ ok: false }); // prettier-ignore
      expect(await t.store.finish(id, CANCEL)).toBe(false);
      expect(await outcome(id)).toMatchObject({ status: "COMPLETED", finishedAt: t.clock.now() - 10 });
      expect(t.store.deliveries.pending).toBe(1);
    });

    it("of a request that is deleted unfinished", async () => {
      const id = await t.enqueue(telling(HOOK));
      await t.store.finish(id, { type: "delete" });
      expect(await outcome(id)).toBeUndefined();
    });
  });

  it("are hinted at when they are made or asked for again", async () => {
    const heard: string[][] = [];
    const stop = t.store.deliveries.onDue((id, host) => heard.push([id, host]));
    const id = await completed(t, HOOK);
    expect(heard.splice(0)).toEqual([[id, "hooks.example:8443"]]);
    await t.store.deliveries.mark(id, {
      type: "retry",
      attempt: { at: t.clock.now(), tookMs: 1, status: null, error: "No." },
      dueAt: t.clock.now() + 1,
    });
    await t.enqueue(telling(HOOK));
    expect(heard).toEqual([]);
    await t.store.deliveries.redeliver(id);
    expect(heard.splice(0)).toEqual([[id, "hooks.example:8443"]]);
    stop();
    await t.store.deliveries.redeliver(id);
    expect(heard).toEqual([]);
  });
}
