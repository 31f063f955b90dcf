/** What a receiver answers, and what becomes of its webhook. */
import { expect, onTestFinished, test, vi } from "vitest";
import { nextTry, retryAfterMs, TRIED_FOR_MS } from "../../src/webhook/schedule.ts";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

test("it is tried again until it gets through, with the same id and body, and a time of its own in each signature", async () => {
  await using there = await receiver((response, _hit, count) => response.writeHead(count < 4 ? 500 : 200).end());
  await using t = openSender();
  const wall = vi.spyOn(Date, "now").mockImplementation(() => t.clock.now());
  onTestFinished(() => wall.mockRestore());
  const id = await t.outcome(there.url);
  const delivery = await t.waited(id, ({ state }) => state !== "pending");

  expect(delivery).toMatchObject({ state: "delivered", tries: 4 });
  expect(delivery.attempts.map(({ status, error }) => [status, error])).toEqual([
    [500, "The receiver answered 500."],
    [500, "The receiver answered 500."],
    [500, "The receiver answered 500."],
    [200, null],
  ]);
  expect(new Set(there.hits.map((hit) => `${hit.id} ${hit.body}`)).size).toBe(1);
  for (const name of ["webhook-timestamp", "webhook-signature"]) {
    expect(new Set(there.hits.map(({ headers }) => headers[name])).size).toBe(4);
  }
});

test("after 24 hours it is given up, and the last try comes at their end", async () => {
  await using there = await receiver((response) => response.writeHead(404).end());
  await using t = openSender();
  const begun = t.clock.now();
  const id = await t.outcome(there.url);
  const { state, tries, attempts, dueAt } = await t.waited(id, (delivery) => delivery.state !== "pending");
  expect([state, dueAt]).toEqual(["failed", null]);
  expect(tries).toBeGreaterThan(12);
  expect(tries).toBeLessThan(25);
  expect(tries).toBe(there.hits.length);
  expect(attempts.at(-1)!.at - begun).toBeGreaterThan(TRIED_FOR_MS - 120 * SECOND);
  expect(attempts.at(-1)!.at - begun).toBeLessThanOrEqual(TRIED_FOR_MS);
  expect(t.logged.at(-1)).toMatchObject({ message: "webhook given up", request: id, owner: "alice", status: 404 });
});

test("one that was given up and is asked for again has another 24 hours, and short delays first", async () => {
  await using there = await receiver((response) => response.writeHead(404).end());
  await using t = openSender();
  const id = await t.outcome(there.url);
  await t.waited(id, ({ state }) => state === "failed");
  t.clock.advance(HOUR);
  await t.deliveries.redeliver(id);
  const before = there.hits.length;
  const { dueAt } = await t.until(id, ({ tries }) => tries === before + 1);
  expect(dueAt! - t.clock.now()).toBeLessThan(10 * SECOND);
});

test("410 Gone gives it up at once", async () => {
  await using there = await receiver((response) => response.writeHead(410).end());
  await using t = openSender();
  const id = await t.outcome(there.url);
  expect(await t.until(id, ({ state }) => state === "failed")).toMatchObject({
    attempts: [{ status: 410, error: "The receiver answered 410: it wants no more of this." }],
  });
});

test("a redirect is a failure that says so, and nothing is sent to where it leads", async () => {
  await using elsewhere = await receiver();
  await using there = await receiver((response) => response.writeHead(307, { location: elsewhere.url }).end());
  await using t = openSender();
  const id = await t.outcome(there.url);
  expect(await t.until(id, ({ tries }) => tries === 1)).toMatchObject({
    state: "pending",
    attempts: [{ status: 307, error: "The receiver answered 307, a redirect. Redirects are not followed." }],
  });
  expect(elsewhere.hits).toEqual([]);
});

test.each([429, 503])("of a %s with Retry-After it minds the time", async (status) => {
  await using there = await receiver((response) => response.writeHead(status, { "retry-after": "600" }).end());
  await using t = openSender();
  const id = await t.outcome(there.url);
  const { dueAt } = await t.until(id, ({ tries }) => tries === 1);
  expect(dueAt! - t.clock.now()).toBeGreaterThanOrEqual(600 * SECOND);
  expect(dueAt! - t.clock.now()).toBeLessThanOrEqual(750 * SECOND);
});

test.each([
  ["a port where nobody listens", "http://127.0.0.1:1/", "its host refused the connection"],
  ["a host that has no address", "http://nowhere.invalid/", "its host name has no address"],
])("%s is told as such, without the URL's own secrets", async (_what, url, why) => {
  const lookup = (_host: string, callback: (error: NodeJS.ErrnoException, none: readonly []) => void): void =>
    callback(Object.assign(new Error("none"), { code: "ENOTFOUND" }), []);
  await using t = openSender({ lookup });
  const id = await t.outcome(`${url}?key=secret`);
  expect(await t.until(id, ({ tries }) => tries === 1)).toMatchObject({
    attempts: [{ status: null, error: `The receiver could not be told: ${why}.` }],
  });
  expect(JSON.stringify(t.logged)).not.toContain("secret");
});

test("a receiver that speaks no TLS where it should is told as such", async () => {
  await using there = await receiver();
  await using t = openSender();
  const id = await t.outcome(there.url.replace("http:", "https:"));
  const { attempts } = await t.until(id, ({ tries }) => tries === 1);
  expect(attempts[0]!.error).toMatch(/^The receiver could not be told: TLS failed \(.+\)\.$/);
});

test("a receiver that breaks off without an answer is told as such", async () => {
  await using there = await receiver((response) => response.destroy());
  await using t = openSender();
  const id = await t.outcome(there.url);
  const { attempts } = await t.until(id, ({ tries }) => tries === 1);
  expect(attempts[0]!.error).toBe("The receiver could not be told: its host broke the connection off.");
});

test("delays grow threefold from 5 s to 2 h, a quarter longer or shorter by chance", () => {
  const delays = [0, 0.5, 1].map((chance) =>
    [0, 1, 2, 3, 6, 7, 20].map((before) => {
      const attempts = Array.from({ length: before }, () => ({ at: 0, tookMs: 1, status: 500, error: "no" }));
      return nextTry({ askedAt: 0, attempts }, 0, null, () => chance)! / SECOND;
    }),
  );
  expect(delays).toEqual([
    [3.75, 11.25, 33.75, 101.25, 2733.75, 5400, 5400],
    [5, 15, 45, 135, 3645, 7200, 7200],
    [6.25, 18.75, 56.25, 168.75, 4556.25, 9000, 9000],
  ]);
});

test("a Retry-After in either form is heeded from a second to two hours, and never comes early", () => {
  const delivery = { askedAt: 0, attempts: [] };
  const dueAt = (ms: number, chance: number): number => nextTry(delivery, 0, ms, () => chance)!;
  expect([dueAt(0, 0), dueAt(30 * SECOND, 0), dueAt(30 * SECOND, 1), dueAt(48 * HOUR, 1)]).toEqual([
    SECOND,
    30 * SECOND,
    37.5 * SECOND,
    2 * HOUR,
  ]);
  const now = Date.UTC(2026, 0, 1);
  expect(retryAfterMs("120", now)).toBe(120 * SECOND);
  expect(retryAfterMs("Thu, 01 Jan 2026 00:01:00 GMT", now)).toBe(60 * SECOND);
  expect(retryAfterMs("Thu, 01 Jan 2025 00:00:00 GMT", now)).toBe(0);
  for (const nothing of [undefined, "", "soon", "-1", "1e3"]) expect(retryAfterMs(nothing, now)).toBeNull();
});
