import { describe, expect, it } from "vitest";
import type { EventCursor, EventPage, RunEvent } from "../store/events.ts";
import { COMPLETE, StoreUnderTest, UNKNOWN, failed } from "./store-suite/under-test.ts";
import type { StoreFactory } from "./store-suite/under-test.ts";

const MB = 1024 * 1024;
const CANCEL = { type: "cancel", failure: { code: "cancelled", message: "The request was cancelled." } } as const;

/** What the event log of every driver must do. */
export function eventLogSuite(name: string, open: StoreFactory): void {
  describe(`the event log of the ${name} store`, () => {
    const t = new StoreUnderTest(open);

    /** A request that runs, and the token of its lease. */
    async function running(): Promise<{ readonly id: string; readonly token: string }> {
      const id = await t.enqueue();
      const { token } = await t.leaseOne();
      return { id, token };
    }

    async function append(id: string, token: string, ...events: RunEvent[]): Promise<boolean> {
      let held = true;
      for (const event of events) held = (await t.store.events.append(id, token, event)) && held;
      return held;
    }

    async function read(id: string, after: EventCursor | null = null): Promise<EventPage> {
      const page = await t.store.events.read(id, after);
      expect(page).toBeDefined();
      return page!;
    }

    describe("gives back what a run has told", () => {
      it("lines and progress in their order, with their times, and the output as one text", async () => {
        const { id, token } = await running();
        const at = t.clock.now();
        expect(await append(id, token, log("loading"), output("The quick "), progress(0.5))).toBe(true);
        t.clock.advance(5);
        expect(await append(id, token, log("drawing"), output("brown fox"))).toBe(true);
        expect(await read(id)).toMatchObject({
          attempt: 1,
          events: [
            { seq: 1, at, event: log("loading") },
            { seq: 2, at, event: progress(0.5) },
            { seq: 3, at: at + 5, event: log("drawing") },
          ],
          output: { at: 0, text: "The quick brown fox" },
          next: { attempt: 1, seq: 3, output: 19 },
        });
      });

      it("behind a cursor only what came since", async () => {
        const { id, token } = await running();
        await append(id, token, log("loading"), progress(0.5), output("The quick "));
        const first = await read(id);
        expect(await read(id, first.next)).toEqual({ attempt: 1, events: [], output: null, next: first.next });
        await append(id, token, output("brown "), log("drawing"), output("fox"));
        expect(await read(id, first.next)).toMatchObject({
          events: [{ seq: 3, event: log("drawing") }],
          output: { at: 10, text: "brown fox" },
        });
      });

      it("of progress the latest alone", async () => {
        const { id, token } = await running();
        await append(id, token, progress(0.1), log("half"), progress(0.5), progress(0.6), log("more"));
        expect((await read(id)).events.map(({ seq }) => seq)).toEqual([2, 4, 5]);
        expect((await read(id)).events[1]).toMatchObject({ event: progress(0.6) });
      });

      it("an output of many pieces from any place in it", async () => {
        const { id, token } = await running();
        let told = "";
        const cursors: EventCursor[] = [];
        for (let i = 0; i < 1_000; i++) {
          const piece = `${i} `;
          await append(id, token, output(piece));
          told += piece;
          if (i % 50 === 0) cursors.push((await read(id, cursors.at(-1) ?? null)).next);
        }
        for (const cursor of cursors) {
          expect((await read(id, cursor)).output).toEqual({ at: cursor.output, text: told.slice(cursor.output) });
        }
        expect(await t.store.events.output(id)).toBe(told);
      });

      it("from the beginning to whoever brings a cursor that does not fit", async () => {
        const { id, token } = await running();
        await append(id, token, log("loading"), output("The quick"));
        const whole = await read(id);
        const { next } = whole;
        const misfits: EventCursor[] = [
          { ...next, log: "another" },
          { ...next, attempt: 2 },
          { ...next, attempt: NaN },
          { ...next, seq: 2 },
          { ...next, seq: -1 },
          { ...next, seq: 0.5 },
          { ...next, seq: Infinity },
          { ...next, output: 10 },
          { ...next, output: -1 },
          { ...next, output: NaN },
          { ...next, output: 2 ** 53 },
        ];
        for (const misfit of misfits) expect(await read(id, misfit)).toEqual(whole);
      });

      it("nothing of a request that told nothing, or that nobody knows", async () => {
        const { id, token } = await running();
        expect(await t.store.events.read(id, null)).toBeUndefined();
        expect(await t.store.events.output(id)).toBeUndefined();
        expect(await t.store.events.read(UNKNOWN, null)).toBeUndefined();
        expect(await t.store.events.output(UNKNOWN)).toBeUndefined();
        await append(id, token, log("loading"));
        expect((await read(id)).output).toBeNull();
        expect(await t.store.events.output(id)).toBeUndefined();
      });
    });

    describe("takes nothing from a run whose lease does not hold", () => {
      const endings: [string, (id: string, token: string) => Promise<unknown>][] = [
        ["it completed", (id, token) => t.store.settle(id, token, COMPLETE)],
        ["it failed", (id, token) => t.store.settle(id, token, failed("error"))],
        ["it is to be tried again", (id, token) => t.store.settle(id, token, failed("retryable"))],
        ["it was given back", (id, token) => t.store.settle(id, token, { type: "release" })],
        ["it was cancelled", (id) => t.store.finish(id, CANCEL)],
        ["it was deleted", (id) => t.store.finish(id, { type: "delete" })],
        ["it was lost", async () => (t.clock.advance(30_000), t.store.sweep(10))],
        ["it expired", async (id) => (t.clock.advance(3_600_000), t.store.finish(id, { type: "expire" }))],
      ];
      for (const [why, end] of endings) {
        it(`because ${why}`, async () => {
          const { id, token } = await running();
          await append(id, token, output("told"));
          await end(id, token);
          expect(await append(id, token, output(" too late"), log("too late"))).toBe(false);
          expect((await t.store.events.read(id, null))?.output?.text ?? "told").toBe("told");
          expect(await t.store.events.output(id)).toBeUndefined();
        });
      }

      it("nor from one that never held", async () => {
        const { id } = await running();
        expect(await append(id, "0".repeat(32), log("forged"))).toBe(false);
        const waiting = await t.enqueue();
        expect(await append(waiting, "", log("forged"))).toBe(false);
        expect(await append(UNKNOWN, "", log("forged"))).toBe(false);
        expect(await t.store.events.read(id, null)).toBeUndefined();
      });

      it("though another attempt of the same request runs", async () => {
        const { id, token } = await running();
        await append(id, token, output("first"), log("first"));
        await t.store.settle(id, token, { type: "release" });
        const second = await t.leaseOne();
        expect(await append(id, token, output("late"))).toBe(false);
        expect(await append(id, second.token, output("second"))).toBe(true);
        expect(await t.store.events.output(id)).toBe("second");
      });
    });

    it("begins anew with each attempt", async () => {
      const { id, token } = await running();
      await append(id, token, log("first"), output("the first text"));
      const { next } = await read(id);
      await t.store.settle(id, token, { type: "release" });
      const second = await t.leaseOne();
      expect(await t.store.events.read(id, next)).toBeUndefined();
      await append(id, second.token, output("the second text"));
      expect(await read(id, next)).toMatchObject({
        attempt: 2,
        events: [],
        output: { at: 0, text: "the second text" },
        next: { attempt: 2, seq: 0, output: 15 },
      });
    });

    it("is kept for a minute when its lease has ended, and no longer than its request", async () => {
      const [kept, deleted] = [await running(), await running()];
      for (const { id, token } of [kept, deleted]) {
        await append(id, token, output("all of it"));
        await t.store.settle(id, token, COMPLETE);
      }
      await t.store.finish(deleted.id, { type: "delete" });
      expect(await t.store.events.read(deleted.id, null)).toBeUndefined();
      t.clock.advance(59_999);
      expect((await read(kept.id)).output).toEqual({ at: 0, text: "all of it" });
      t.clock.advance(1);
      expect(await t.store.events.read(kept.id, null)).toBeUndefined();
    });

    describe("is bounded", () => {
      it("to the latest 1,000 lines", async () => {
        const { id, token } = await running();
        for (let i = 1; i <= 1_500; i++) await append(id, token, log(`line ${i}`));
        const { events } = await read(id);
        expect(events).toHaveLength(1_000);
        expect(events[0]).toMatchObject({ seq: 501, event: log("line 501") });
        expect((await read(id, { ...(await read(id)).next, seq: 10 })).events).toEqual(events);
      });

      it("to 256 KB of lines", async () => {
        const { id, token } = await running();
        for (let i = 0; i < 100; i++) await append(id, token, log(String(i).padEnd(8_000)));
        const { events } = await read(id);
        expect(events.length).toBeGreaterThan(30);
        expect(events.length).toBeLessThan(33);
        expect(events.at(-1)).toMatchObject({ seq: 100 });
      });

      it("to the first megabyte of the output, no character cut in half and nothing left out in its middle", async () => {
        const { id, token } = await running();
        const rose = "🌹".repeat(1_000);
        await append(id, token, output("-"));
        for (let i = 0; i < 600; i++) expect(await append(id, token, output(rose))).toBe(true);
        expect(await append(id, token, output("the end"))).toBe(true);
        expect(await t.store.events.output(id)).toBe("-" + "🌹".repeat(MB / 2 - 1));
        const { next } = await read(id);
        expect((await read(id, next)).output).toBeNull();
      });

      it("over all requests: the one that told something least recently is forgotten first, finished ones before", async () => {
        const text = output("x".repeat(MB));
        const finished = await running();
        await append(finished.id, finished.token, text);
        await t.store.settle(finished.id, finished.token, COMPLETE);
        const runs = [];
        for (let i = 0; i < 40; i++) runs.push(await running());
        for (const { id, token } of runs.slice(0, 30)) await append(id, token, text);
        await append(runs[0]!.id, runs[0]!.token, log("still there"));
        for (const { id, token } of runs.slice(30)) await append(id, token, text);
        expect(await t.store.events.read(finished.id, null)).toBeUndefined();
        const held = await Promise.all(runs.map(async ({ id }) => (await t.store.events.output(id)) !== undefined));
        expect(held[0]).toBe(true);
        expect(held.indexOf(true, 1)).toBeGreaterThan(8);
        expect(held.slice(held.indexOf(true, 1))).not.toContain(false);
      });

      it("and what is forgotten of a run leaves no hole: its lines go on, its output does not", async () => {
        const first = await running();
        await append(first.id, first.token, log("one"), output("The beginning, "));
        const { next } = await read(first.id);
        for (let i = 0; i < 40; i++) {
          const { id, token } = await running();
          await append(id, token, output("x".repeat(MB)));
        }
        expect(await append(first.id, first.token, output("the end."), log("two"))).toBe(true);
        expect(await t.store.events.output(first.id)).toBeUndefined();
        const expected = { events: [{ seq: 2, event: log("two") }], output: null };
        expect(await read(first.id, next)).toMatchObject(expected);
        expect(await read(first.id)).toMatchObject(expected);
      });
    });

    it("hints at what was told, and at nothing else", async () => {
      const { id, token } = await running();
      const heard: string[] = [];
      const stop = t.store.events.onAppend((told) => heard.push(told));
      await append(id, token, log("one"), progress(0.5), output("text"));
      expect(heard.splice(0)).toEqual([id, id, id]);
      await append(id, token, output(""));
      await append(id, "0".repeat(32), log("forged"));
      expect(heard).toEqual([]);
      stop();
      await append(id, token, log("two"));
      expect(heard).toEqual([]);
    });
  });
}

function log(message: string): RunEvent {
  return { type: "log", message };
}

function progress(fraction: number): RunEvent {
  return { type: "progress", fraction };
}

function output(text: string): RunEvent {
  return { type: "output", text };
}
