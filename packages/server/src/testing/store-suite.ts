import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../core/clock.ts";
import type { Result, Submission } from "../core/request.ts";
import type { Lease, RequestStore, Settlement, Wake } from "../store/store.ts";
import { manualClock } from "./clock.ts";
import type { ManualClock } from "./clock.ts";
import { submissionMaker } from "./submission.ts";

/** Opens an empty store that reads the time from `clock`. */
export type StoreFactory = (clock: Clock) => Promise<RequestStore>;

const IMAGE: Result = {
  kind: "image",
  files: [{ key: "x/1/y.png", contentType: "image/png", size: 3, fileName: "output.png" }],
  seed: "7",
};
const COMPLETE: Settlement = { type: "complete", result: IMAGE, inferenceMs: 40, hasFiles: true };
const UNKNOWN = "01970000-0000-7000-8000-000000000000";

function failed(kind: "error" | "retryable" | "crash", retryAfterMs?: number): Settlement {
  const failure = { code: "model_error", message: "The image is empty." } as const;
  return { type: "fail", kind, failure, inferenceMs: 5, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** What every driver of the request store must do. */
export function storeSuite(name: string, open: StoreFactory): void {
  describe(`the ${name} store`, () => {
    let clock: ManualClock;
    let store: RequestStore;
    let submission: (over?: Partial<Submission>) => Submission;

    beforeEach(async () => {
      clock = manualClock();
      submission = submissionMaker(clock);
      store = await open(clock);
    });
    afterEach(async () => store[Symbol.asyncDispose]());

    async function enqueue(over: Partial<Submission> = {}): Promise<string> {
      const asked = submission(over);
      await store.enqueue(asked);
      return asked.id;
    }

    function lease(most = 100, model = "mock"): Promise<Lease[]> {
      return store.lease({ worker: "w1", capacity: new Map([[model, most]]), leaseMs: 30_000, durable: true });
    }

    async function leaseOne(): Promise<Lease> {
      const [first, ...more] = await lease(1);
      expect(more).toEqual([]);
      return first!;
    }

    describe("keeps a submission", () => {
      it("as QUEUED, word for word", async () => {
        const asked = submission({
          owner: "bob",
          priority: -1,
          hasFiles: true,
          input: { json: '{"text":"näh 🌹"}' },
          startDeadline: clock.now() + 5_000,
          idempotencyKey: "k",
          idempotencyDigest: "d",
          webhook: '{"url":"https://example.org"}',
          publicBase: "https://inferq.example.org",
        });
        await store.enqueue(asked);
        expect(await store.get(asked.id)).toMatchObject({ ...asked, status: "QUEUED", attempts: 0, result: null });
        expect(await store.status(asked.id)).toEqual({
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
        const id = await enqueue({ input: { key: "a/0/b.json" } });
        expect((await store.get(id))?.input).toEqual({ key: "a/0/b.json" });
        expect((await leaseOne()).input).toEqual({ key: "a/0/b.json" });
      });

      it("and refuses one whose id is taken, without touching its neighbours", async () => {
        const [first, second, third] = [submission(), submission(), submission()];
        await store.enqueue(first);
        const answers = await Promise.allSettled(
          [second, { ...first, model: "other" }, third].map((s) => store.enqueue(s)),
        );
        expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
        expect((await store.status(first.id))?.model).toBe("mock");
        expect((await lease()).map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
      });

      it("and knows nothing of other ids, whatever their form", async () => {
        for (const id of [UNKNOWN, "", "x", "2c7f59ea-13f1-402c-9353-915a2b5a2124", UNKNOWN.toUpperCase()]) {
          expect(await store.status(id)).toBeUndefined();
          expect(await store.get(id)).toBeUndefined();
          expect(await store.settle(id, "token", { type: "release" })).toEqual({ ok: false, refusal: "unknown" });
          expect(await store.finish(id, { type: "delete" })).toBe(false);
          expect(await store.heartbeat([{ id, token: "token" }], 1_000)).toEqual(["token"]);
        }
      });
    });

    describe("leases", () => {
      it("by priority, then the oldest first, and each once", async () => {
        const ids = [await enqueue(), await enqueue({ priority: 1 }), await enqueue(), await enqueue({ priority: 1 })];
        expect((await lease(3)).map(({ id }) => id)).toEqual([ids[1], ids[3], ids[0]]);
        expect((await lease()).map(({ id }) => id)).toEqual([ids[2]]);
        expect(await lease()).toEqual([]);
      });

      it("at most as many as are wished for of each model, and none of another", async () => {
        for (const model of ["a", "a", "a", "b", "c"]) await enqueue({ model });
        const capacity = new Map([["a", 2], ["b", 2], ["d", 2]]); // prettier-ignore
        const leases = await store.lease({ worker: "w1", capacity, leaseMs: 1_000, durable: false });
        expect(leases.map(({ model }) => model)).toEqual(["a", "a", "b"]);
      });

      it("with all that a run needs, a new token each time, and counts them", async () => {
        const id = await enqueue();
        clock.advance(2_000);
        const first = await leaseOne();
        expect(first).toMatchObject({
          id,
          model: "mock",
          owner: "alice",
          attempt: 1,
          crashes: 0,
          input: { json: '{"prompt":"a red rose"}' },
        });
        expect(first).toMatchObject({ createdAt: clock.now() - 2_000, deadline: clock.now() + 30_000 });
        expect(first.token).toMatch(/^[0-9a-f]{32}$/);
        expect(await store.status(id)).toMatchObject({ status: "PROCESSING", startedAt: clock.now(), leases: 1 });
        await store.settle(id, first.token, { type: "release" });
        const second = await leaseOne();
        expect(second).toMatchObject({ attempt: 2, crashes: 0 });
        expect(second.token).not.toBe(first.token);
      });

      it("to nobody before its time", async () => {
        const id = await enqueue({ notBefore: clock.now() + 10_000 });
        expect(await lease()).toEqual([]);
        clock.advance(10_000);
        expect((await lease()).map((l) => l.id)).toEqual([id]);
      });

      it("to one of two workers that ask at once", async () => {
        await enqueue();
        const both = await Promise.all([lease(), lease()]);
        expect(both.flat()).toHaveLength(1);
      });
    });

    describe("settles", () => {
      it("a completed request with its result", async () => {
        const id = await enqueue();
        const { token } = await leaseOne();
        clock.advance(50);
        expect(await store.settle(id, token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
        expect(await store.status(id)).toMatchObject({ status: "COMPLETED", inferenceMs: 40, finishedAt: clock.now() });
        expect(await store.get(id)).toMatchObject({ result: IMAGE, lease: null, attempts: 1, hasFiles: false });
      });

      it("a model's own error for good", async () => {
        const id = await enqueue();
        const { token } = await leaseOne();
        expect(await store.settle(id, token, failed("error"))).toEqual({ ok: true, status: "FAILED" });
        const failure = { code: "model_error", message: "The image is empty." };
        expect(await store.status(id)).toMatchObject({ status: "FAILED", failure, inferenceMs: 5 });
        expect(await store.get(id)).toMatchObject({ failure, attempts: 1, crashes: 0 });
      });

      it("a crash by trying again after 1 s and 5 s, and then no more", async () => {
        const id = await enqueue();
        for (const [crashes, wait] of [1_000, 5_000].entries()) {
          const leased = await leaseOne();
          expect(leased.crashes).toBe(crashes);
          expect(await store.settle(id, leased.token, failed("crash"))).toEqual({ ok: true, status: "QUEUED" });
          clock.advance(wait - 1);
          expect(await lease()).toEqual([]);
          clock.advance(1);
        }
        expect(await store.settle(id, (await leaseOne()).token, failed("crash"))).toEqual({
          ok: true,
          status: "FAILED",
        });
        expect(await store.get(id)).toMatchObject({ attempts: 3, crashes: 3, leases: 3 });
      });

      it("a retryable error after the delay that the model named", async () => {
        const id = await enqueue();
        await store.settle(id, (await leaseOne()).token, failed("retryable", 60_000));
        clock.advance(59_999);
        expect(await lease()).toEqual([]);
        clock.advance(1);
        expect((await leaseOne()).id).toBe(id);
      });

      it("a release at once and at no cost", async () => {
        const id = await enqueue();
        expect(await store.settle(id, (await leaseOne()).token, { type: "release" })).toEqual({
          ok: true,
          status: "QUEUED",
        });
        expect(await store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0, leases: 1 });
        expect((await leaseOne()).id).toBe(id);
      });

      it("nothing for a worker whose lease is another's, or over", async () => {
        const id = await enqueue();
        const late = await leaseOne();
        clock.advance(30_000);
        await store.sweep(10);
        clock.advance(1_000);
        const { token } = await leaseOne();
        expect(await store.settle(id, late.token, COMPLETE)).toEqual({ ok: false, refusal: "fenced" });
        expect((await store.get(id))?.result).toBeNull();
        expect(await store.settle(id, token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
        expect(await store.settle(id, token, failed("error"))).toEqual({ ok: false, refusal: "finished" });
      });

      it("a lease handed out before it was durable", async () => {
        const id = await enqueue();
        const [lease] = await store.lease({
          worker: "w1",
          capacity: new Map([["mock", 1]]),
          leaseMs: 1_000,
          durable: false,
        });
        expect(await store.settle(id, lease!.token, COMPLETE)).toEqual({ ok: true, status: "COMPLETED" });
      });
    });

    describe("keeps a lease alive", () => {
      it("by heartbeats, and names those that no longer hold", async () => {
        const id = await enqueue();
        const { token } = await leaseOne();
        clock.advance(29_000);
        expect(await store.heartbeat([{ id, token }, { id, token: "0".repeat(32) }], 30_000)).toEqual(["0".repeat(32)]); // prettier-ignore
        clock.advance(29_000);
        expect(await store.sweep(10)).toMatchObject({ lost: [] });
        clock.advance(1_000);
        expect(await store.sweep(10)).toMatchObject({ lost: [id] });
        expect(await store.heartbeat([{ id, token }], 30_000)).toEqual([token]);
        expect(await store.get(id)).toMatchObject({ status: "QUEUED", attempts: 1, crashes: 1 });
      });
    });

    describe("ends a request from outside", () => {
      const cancel = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;

      it("by cancelling it while it waits or runs, once", async () => {
        const ids = [await enqueue(), await enqueue()];
        const { token } = await leaseOne();
        for (const id of ids) {
          expect(await store.finish(id, cancel)).toBe(true);
          expect(await store.finish(id, cancel)).toBe(false);
          expect(await store.status(id)).toMatchObject({ status: "FAILED", failure: cancel.failure });
        }
        expect(await store.settle(ids[0]!, token, COMPLETE)).toEqual({ ok: false, refusal: "finished" });
        expect(await lease()).toEqual([]);
      });

      it("by deleting it, whatever its state", async () => {
        const [running, waiting] = [await enqueue(), await enqueue()];
        const { token } = await leaseOne();
        for (const id of [running, waiting]) {
          expect(await store.finish(id, { type: "delete" })).toBe(true);
          expect(await store.status(id)).toBeUndefined();
          expect(await store.get(id)).toBeUndefined();
        }
        expect(await store.settle(running, token, COMPLETE)).toEqual({ ok: false, refusal: "unknown" });
        expect(await lease()).toEqual([]);
      });
    });

    describe("forgets an expired request", () => {
      it("in every read, before any sweep", async () => {
        const ids = [await enqueue(), await enqueue(), await enqueue()];
        const [first, second] = await lease(2);
        await store.settle(ids[0]!, first!.token, COMPLETE);
        clock.advance(3_600_000);
        for (const id of ids) {
          expect(await store.status(id)).toBeUndefined();
          expect(await store.get(id)).toBeUndefined();
        }
        expect(await lease()).toEqual([]);
        expect(await store.settle(ids[1]!, second!.token, COMPLETE)).toEqual({ ok: false, refusal: "unknown" });
        expect(await store.heartbeat([{ id: ids[1]!, token: second!.token }], 1_000)).toEqual([second!.token]);
        expect(store.stats().models.size).toBe(0);
      });

      it("for good, a slice at a time, naming those with files", async () => {
        const ids = [await enqueue({ hasFiles: true }), await enqueue(), await enqueue()];
        await store.settle(ids[0]!, (await leaseOne()).token, {
          type: "complete",
          result: IMAGE,
          inferenceMs: 1,
          hasFiles: false,
        });
        await store.settle(ids[1]!, (await leaseOne()).token, COMPLETE);
        expect(await store.finish(ids[0]!, { type: "expire" })).toBe(false);
        clock.advance(3_600_000);
        expect((await store.sweep(2)).expired).toMatchObject([
          { id: ids[0], hasFiles: true, status: "COMPLETED" },
          { id: ids[1], hasFiles: true, status: "COMPLETED" },
        ]);
        for (const id of ids.slice(0, 2)) expect(await store.finish(id, { type: "expire" })).toBe(true);
        expect((await store.sweep(2)).expired).toEqual([
          { id: ids[2], hasFiles: false, status: "QUEUED", owner: "alice", model: "mock" },
        ]);
        expect(await store.finish(ids[2]!, { type: "expire" })).toBe(true);
        expect(await store.finish(ids[2]!, { type: "expire" })).toBe(false);
        expect((await store.sweep(2)).expired).toEqual([]);
      });
    });

    describe("sweeps", () => {
      it("what no worker leased before its start deadline", async () => {
        const late = await enqueue({ startDeadline: clock.now() + 1_000 });
        const patient = await enqueue();
        clock.advance(1_000);
        expect(await store.sweep(10)).toEqual({ lost: [], startTimedOut: [late], expired: [] });
        expect(await store.status(late)).toMatchObject({ status: "FAILED", failure: { code: "start_timeout" } });
        expect((await lease()).map(({ id }) => id)).toEqual([patient]);
      });

      it("no start deadline of a request that once ran", async () => {
        const id = await enqueue({ startDeadline: clock.now() + 1_000 });
        await store.settle(id, (await leaseOne()).token, { type: "release" });
        clock.advance(1_000);
        expect(await store.sweep(10)).toEqual({ lost: [], startTimedOut: [], expired: [] });
        expect((await leaseOne()).id).toBe(id);
      });

      it("lost leases back to the queue three times, then to FAILED", async () => {
        const id = await enqueue();
        for (const [crashes, wait] of [1_000, 5_000, 0].entries()) {
          expect((await leaseOne()).crashes).toBe(crashes);
          clock.advance(30_000);
          expect(await store.sweep(10)).toMatchObject({ lost: [id] });
          clock.advance(wait);
        }
        expect(await store.status(id)).toMatchObject({ status: "FAILED", failure: { code: "lease_lost" }, leases: 3 });
      });
    });

    it("counts what waits and runs of each model, and since when", async () => {
      const since = clock.now();
      await enqueue();
      clock.advance(100);
      await enqueue();
      await enqueue({ model: "other" });
      await lease(1);
      expect(Object.fromEntries(store.stats().models)).toEqual({
        mock: { queued: 1, processing: 1, oldestCreatedAt: since + 100 },
        other: { queued: 1, processing: 0, oldestCreatedAt: since + 100 },
      });
    });

    it("hints when something is queued and when something is finished", async () => {
      const heard: Wake[] = [];
      const stop = store.onWake?.((wake) => heard.push(wake));
      if (stop === undefined) return;
      const id = await enqueue();
      expect(heard.splice(0)).toEqual([{ type: "queued", model: "mock" }]);
      const { token } = await leaseOne();
      await store.settle(id, token, { type: "release" });
      expect(heard.splice(0)).toEqual([{ type: "queued", model: "mock" }]);
      await store.settle(id, (await leaseOne()).token, COMPLETE);
      expect(heard.splice(0)).toEqual([{ type: "finished", id }]);
      stop();
      await enqueue();
      expect(heard).toEqual([]);
    });

    it("takes no more once it is closed", async () => {
      await enqueue();
      await store[Symbol.asyncDispose]();
      await expect(lease()).rejects.toMatchObject({ code: "shutting_down" });
      await expect(store.enqueue(submission())).rejects.toMatchObject({ code: "shutting_down" });
    });
  });
}
