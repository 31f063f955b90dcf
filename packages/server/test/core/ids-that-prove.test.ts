/** The ids of requests tell how long these live, and prove whose they were, when nothing else is left of them. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idExpiresAt, idMaker, idTime, isId, requestIds } from "../../src/core/ids.ts";
import { lifeCode, lifeSeconds } from "../../src/core/lives.ts";
import { manualClock } from "../../src/testing/clock.ts";

const MADE_AT = 1_790_000_000_000;
const SECRET = "0123456789abcdef0123456789abcdef";
const YEAR = 365 * 86_400;
/** Made once for "alice" with a life of an hour; as long as this is right, a new version knows the ids of the one before. */
const ID = "01a0c450-6c00-7298-92c1-4daed08bda15";

const ids = requestIds(manualClock(MADE_AT), SECRET);

describe("a life", () => {
  it("is exact for whole seconds up to ten minutes, and for those that people ask for", () => {
    const hours = [1, 1.5, 2, 3, 6, 12, 24, 36, 48, 72].map((hour) => hour * 3_600);
    const days = [5, 7, 14, 30, 90, 365].map((day) => day * 86_400);
    const seconds = Array.from({ length: 600 }, (_, i) => i + 1);
    for (const life of [...seconds, 900, 1_800, ...hours, ...days]) {
      expect(idExpiresAt(ids.make("alice", life).id)).toBe(MADE_AT + life * 1000);
    }
  });

  it("is rounded up, by less than 1.4 % or to a whole second", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: YEAR, noNaN: true }), (life) => {
        const told = lifeSeconds(lifeCode(life))!;
        expect(told).toBeGreaterThanOrEqual(life);
        expect(told).toBeLessThan(Math.max(life + 1, life * 1.014));
      }),
    );
  });

  it("has one code, and a longer one has a higher code", () => {
    let last = 0;
    for (let code = 1; code <= lifeCode(YEAR); code++) {
      const life = lifeSeconds(code)!;
      expect(life).toBeGreaterThan(last);
      expect(lifeCode(life)).toBe(code);
      last = life;
    }
    expect(last).toBe(YEAR);
    expect(lifeCode(YEAR)).toBeLessThan(4_096);
  });

  it("is not told beyond a year, nor where it is not known", () => {
    for (const life of [YEAR + 1, 1e12, null]) {
      const id = ids.make("alice", life).id;
      expect(idExpiresAt(id)).toBe(null);
      expect(ids.isOf("alice", id)).toBe(true);
    }
    expect(lifeSeconds(4_095)).toBe(null);
  });
});

describe("an id", () => {
  it("is known again by its owner, in another process with the same secret", () => {
    expect(ids.isOf("alice", ID)).toBe(true);
    expect(idTime(ID)).toBe(MADE_AT);
    expect(idExpiresAt(ID)).toBe(MADE_AT + 3_600_000);
    const other = requestIds(manualClock(), SECRET);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.double({ min: 0.001, max: YEAR, noNaN: true }), (owner, life) => {
        const id = ids.make(owner, life).id;
        expect(isId(id)).toBe(true);
        expect(other.isOf(owner, id)).toBe(true);
      }),
    );
  });

  it("is unknown when any bit of it is another", () => {
    const value = BigInt(`0x${ID.replaceAll("-", "")}`);
    for (let bit = 0n; bit < 128n; bit++) {
      const hex = (value ^ (1n << bit)).toString(16).padStart(32, "0");
      const flipped = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
      expect(isId(flipped) && ids.isOf("alice", flipped), `bit ${bit}`).toBe(false);
    }
  });

  it("is unknown to every other owner", () => {
    for (const owner of ["", "alic", "alice ", "Alice", "alicf", "bob"]) expect(ids.isOf(owner, ID)).toBe(false);
  });

  it("is unknown under another secret", () => {
    for (const secret of ["0".repeat(32), SECRET.replace("0", "1"), SECRET.replace(/f$/, "e")]) {
      expect(requestIds(manualClock(), secret).isOf("alice", ID)).toBe(false);
    }
  });

  it("is unknown when it was made for something else than a request", () => {
    const id = idMaker(manualClock())();
    expect(isId(id)).toBe(true);
    expect(idExpiresAt(id)).toBe(null);
    expect(ids.isOf("alice", id)).toBe(false);
  });
});
