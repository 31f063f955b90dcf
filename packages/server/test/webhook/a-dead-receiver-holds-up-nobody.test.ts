/** Receivers that hang, refuse or crawl cost the others nothing, and the server little. */
import { expect, test } from "vitest";
import type { Lookup } from "../../src/net/lookup.ts";
import { Breaker } from "../../src/webhook/breaker.ts";
import { Room } from "../../src/webhook/room.ts";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

const SECOND = 1_000;
/** Every name is this machine: as many hosts as a test needs. */
const here: Lookup = (_host, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }]);

function isDelivered({ state }: { readonly state: string }): boolean {
  return state === "delivered";
}

test("while one receiver takes webhooks and never answers, those to another arrive", async () => {
  await using dead = await receiver(() => undefined);
  await using well = await receiver();
  await using t = openSender();
  for (let i = 0; i < 100; i++) await t.outcome(dead.url);
  await dead.came(64);
  for (let i = 0; i < 20; i++) await t.until(await t.outcome(well.url), isDelivered);
  expect(dead.peak()).toBe(64);
  expect(well.hits).toHaveLength(20);
});

test("however many hosts hang, the one that answers quickly has its place; they share what is left and take turns", async () => {
  const held: (() => void)[] = [];
  await using dead = await receiver((response) => held.push(() => response.writeHead(200).end()));
  await using well = await receiver();
  await using t = openSender({ lookup: here });
  await t.until(await t.outcome(well.url), isDelivered);
  const { port } = new URL(dead.url);
  const stuck: string[] = [];
  for (let i = 0; i < 600; i++) stuck.push(await t.outcome(`http://dead-${i % 150}.example:${port}/`));
  await dead.came(512);
  for (let i = 0; i < 20; i++) await t.until(await t.outcome(well.url), isDelivered);
  while (dead.hits.length < 600) {
    for (const release of held.splice(0)) release();
    await dead.came(Math.min(600, dead.hits.length + 1));
  }
  for (const release of held.splice(0)) release();
  for (const id of stuck) await t.until(id, isDelivered);
  expect(dead.peak()).toBe(512);
});

test("a host that fails again and again is left alone, then tried with one webhook, and has the rest when that gets through", async () => {
  let status = 503;
  await using there = await receiver((response) => response.writeHead(status).end());
  await using t = openSender();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.push(await t.outcome(there.url));
    await t.until(ids[i]!, ({ tries }) => tries === 1);
  }
  for (let i = 0; i < 10; i++) ids.push(await t.outcome(there.url));
  await t.sender.poll();
  expect(there.hits).toHaveLength(5);

  t.clock.advance(1.25 * SECOND);
  await t.until(ids.at(-1)!, ({ tries }) => tries === 1);
  await t.sender.poll();
  expect(there.hits).toHaveLength(6);

  status = 200;
  t.clock.advance(10 * SECOND);
  for (const id of ids) await t.until(id, isDelivered);
  const told = t.logged.filter(({ host, message }) => host === there.host && /this host/.test(String(message)));
  expect(told.map(({ message }) => message)).toEqual([
    "webhooks to this host are held back until it takes one",
    "webhooks to this host go on",
  ]);
});

test("what its host's trouble held back for 24 hours is given up without a try", async () => {
  await using t = openSender();
  const refusing = "http://127.0.0.1:1/";
  for (let i = 0; i < 5; i++) await t.until(await t.outcome(refusing), ({ tries }) => tries === 1);
  const waiting = await t.outcome(refusing);
  t.clock.advance(24 * 3_600 * SECOND + 1);
  await t.sender.tidy();
  expect(await t.deliveries.get(waiting)).toMatchObject({ state: "failed" });
});

test("a host that takes one and fails with another is asked with the newest: those before may be a path that is broken for good", async () => {
  await using there = await receiver((response, { path }) => response.writeHead(path === "/broken" ? 500 : 200).end());
  await using t = openSender();
  for (let i = 0; i < 5; i++) await t.until(await t.outcome(`${there.url}/broken`), ({ tries }) => tries === 1);
  for (let i = 0; i < 100; i++) await t.outcome(`${there.url}/broken`);
  const well = await t.outcome(`${there.url}/well`);
  t.clock.advance(1.25 * SECOND);
  expect(await t.until(well, ({ tries }) => tries === 1)).toMatchObject({ state: "delivered" });
  expect(there.hits.slice(5).map(({ path }) => path)[0]).toBe("/well");
});

test("an answer that is not the host's trouble opens no breaker: others have receivers at the same host", async () => {
  await using there = await receiver((response, { path }) => response.writeHead(path === "/gone" ? 404 : 200).end());
  await using t = openSender();
  for (let i = 0; i < 10; i++) await t.until(await t.outcome(`${there.url}/gone`), ({ tries }) => tries === 1);
  await t.until(await t.outcome(`${there.url}/well`), isDelivered);
});

test("a breaker opens after five failures in a row, for twice as long each time up to a minute, and closes with a success", () => {
  const breaker = new Breaker(() => 0.5);
  const fail = (now: number, retryAfterMs: number | null = null): boolean =>
    breaker.failed(breaker.pass(), now, retryAfterMs);
  expect([fail(0), fail(0), fail(0), fail(0)]).toEqual([false, false, false, false]);
  breaker.succeeded(breaker.pass());
  expect([fail(0), fail(0), fail(0), fail(0), fail(0)]).toEqual([false, false, false, false, true]);

  let now = 0;
  const delays: number[] = [];
  for (let i = 0; i < 8; i++) {
    delays.push(breaker.openUntil - now);
    expect(breaker.admits(breaker.openUntil - 1)).toBe(false);
    now = breaker.openUntil;
    expect(breaker.admits(now)).toBe(true);
    expect(fail(now)).toBe(false);
  }
  expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * SECOND));

  now = breaker.openUntil;
  const probe = breaker.pass();
  expect(breaker.admits(now)).toBe(false); // one at a time
  breaker.dropped(probe);
  expect(breaker.admits(now)).toBe(true);
  expect(breaker.succeeded(breaker.pass())).toBe(true);
  expect([breaker.open, breaker.admits(now)]).toEqual([false, true]);
});

test("tries that were under way when a breaker opened do not hold it open; one that gets through closes it", () => {
  const breaker = new Breaker(() => 0.5);
  const [late, through] = [breaker.pass(), breaker.pass()];
  for (let i = 0; i < 5; i++) breaker.failed(breaker.pass(), 0, null);
  const until = breaker.openUntil;
  expect(breaker.failed(late, 500, null)).toBe(false);
  expect(breaker.openUntil).toBe(until);
  expect(breaker.succeeded(through)).toBe(true);
});

test("a host that says for how long it is to be left alone is, up to a minute", () => {
  const openFor = (retryAfterMs: number): number => {
    const breaker = new Breaker(() => 0.5);
    for (let i = 0; i < 5; i++) breaker.failed(breaker.pass(), 0, retryAfterMs);
    return breaker.openUntil;
  };
  expect([0, 30 * SECOND, 3_600 * SECOND].map(openFor)).toEqual([SECOND, 30 * SECOND, 60 * SECOND]);
});

test("room: quick hosts have up to 64 places each, the others that many only while few are taken, and half of all", () => {
  const room = new Room();
  const take = (count: number, quick: boolean): void => {
    for (let i = 0; i < count; i++) room.take(quick);
  };
  expect([room.limit(true), room.limit(false)]).toEqual([64, 64]);
  take(256, false);
  expect([room.limit(true), room.limit(false)]).toEqual([64, 4]);
  take(256, false);
  expect([room.limit(true), room.limit(false)]).toEqual([64, 0]);
  take(511, true);
  const leave = room.take(true);
  expect([room.limit(true), room.limit(false)]).toEqual([0, 0]);
  leave();
  expect(room.limit(true)).toBe(64);
});
