import { expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { idMaker, idTime, isId, randomToken, requestIds } from "../../src/core/ids.ts";
import { idFromBytes, idToBytes } from "../../src/store/sqlite/id-bytes.ts";
import { manualClock } from "../../src/testing/clock.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

it("makes ids that sort in the order they were made, also within one millisecond and beyond what it can count", () => {
  const clock = manualClock();
  const nextId = idMaker(clock);
  const ids = Array.from({ length: 10_000 }, nextId);
  clock.advance(1);
  ids.push(nextId());
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every(isId)).toBe(true);
});

it("makes ids that tell when they were made", () => {
  const clock = manualClock(1_767_225_600_123);
  expect(idTime(idMaker(clock)())).toBe(1_767_225_600_123);
});

it("counts within a millisecond from a random value on, so that several makers seldom meet", () => {
  const counters = Array.from({ length: 100 }, () => Number.parseInt(idMaker(manualClock())().slice(15, 18), 16));
  expect(new Set(counters).size).toBeGreaterThan(50);
  expect(Math.max(...counters)).toBeLessThan(2_048);
});

it("makes a million ids of two servers with one secret, and none of them twice", () => {
  const clock = manualClock();
  const one = requestIds(clock, SECRET);
  const other = requestIds(clock, SECRET);
  for (let ms = 0; ms < 50_000; ms++) {
    clock.advance(1); // ids of different milliseconds differ in these
    const made = new Set<string>();
    for (let i = 0; i < 10; i++) made.add(one.make("alice", 3_600).id).add(other.make("alice", 3_600).id);
    if (made.size !== 20) expect.fail([...made].join());
  }
}, 60_000);

it("takes only ids of its own form", () => {
  const id = idMaker(manualClock())();
  for (const other of [
    "",
    "x",
    id.toUpperCase(),
    `${id} `,
    id.replaceAll("-", ""),
    "2c7f59ea-13f1-402c-9353-915a2b5a2124",
  ]) {
    expect(isId(other)).toBe(false);
  }
});

it("turns ids into sixteen bytes and back", () => {
  const nextId = idMaker(systemClock());
  for (let i = 0; i < 100; i++) {
    const id = nextId();
    const bytes = idToBytes(id, new Uint8Array(16));
    expect(Buffer.from(bytes).toString("hex")).toBe(id.replaceAll("-", ""));
    expect(idFromBytes(bytes)).toBe(id);
  }
});

it("makes tokens that never come twice", () => {
  const tokens = Array.from({ length: 1_000 }, randomToken);
  expect(new Set(tokens).size).toBe(1_000);
  expect(tokens.every((token) => /^[0-9a-f]{32}$/.test(token))).toBe(true);
});

it("has a clock that starts at the wall clock and never goes back", () => {
  const clock = systemClock();
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(100);
  let last = 0;
  for (let i = 0; i < 1_000; i++) {
    const now = clock.now();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});
