/** Guessing keys and ids is slowed down by network, and nobody who shares an address with a guesser is locked out. */
import type { IncomingMessage } from "node:http";
import { pino } from "pino";
import { expect, test } from "vitest";
import { requestIds } from "../../src/core/ids.ts";
import { bruteForce } from "../../src/gateway/brute-force.ts";
import { addressOf } from "../../src/gateway/client-address.ts";
import { LimitError } from "../../src/gateway/limit-error.ts";
import { type Answer, type Gateway, ID_SECRET, KEY, OTHER_KEY, send, startGateway } from "./harness.ts";

/** The tests' own address is the proxy's: whose call it is stands in X-Forwarded-For. */
const proxies = { trustedProxies: ["127.0.0.1"] };
const NOBODYS = "/v2/requests/00000000-0000-0000-0000-000000000000/status";

function from(address: string, key = KEY): Record<string, string> {
  return { "x-forwarded-for": address, "x-api-key": key };
}

/** Polls with keys that are wrong, each another, until one is not looked at; answers how many were. */
async function guessKeys(gateway: Gateway, address: string): Promise<number> {
  for (let guesses = 0; ; guesses += 1) {
    const answer = await gateway.call("GET", NOBODYS, undefined, from(address, `SG_guess${guesses}`));
    if (answer.status === 401) continue;
    expectThrottled(answer);
    return guesses;
  }
}

function expectThrottled(answer: Answer): void {
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([429, "too_many_failures"]);
  const seconds = Number(answer.headers["retry-after"]);
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(5);
  expect(answer.text).toContain(`Try again in ${seconds} s.`);
}

test("twenty wrong keys at once, then one a second, from each network", async () => {
  await using gateway = await startGateway(proxies);
  expect(await guessKeys(gateway, "198.51.100.1")).toBe(20);
  gateway.clock.advance(999);
  expect(await guessKeys(gateway, "198.51.100.1")).toBe(0);
  gateway.clock.advance(1);
  expect(await guessKeys(gateway, "198.51.100.1")).toBe(1);
  expect(await guessKeys(gateway, "198.51.100.2")).toBe(20);
  gateway.clock.advance(3_600_000);
  expect(await guessKeys(gateway, "198.51.100.1")).toBe(20);
});

test("all addresses of an IPv6 /64 are one network", async () => {
  await using gateway = await startGateway(proxies);
  expect(await guessKeys(gateway, "2001:db8:1:2::1")).toBe(20);
  expect(await guessKeys(gateway, "2001:db8:1:2:ffff::2")).toBe(0);
  expect(await guessKeys(gateway, "2001:db8:1:3::1")).toBe(20);
});

test("what a client writes into the header itself gives it no second network", async () => {
  await using gateway = await startGateway(proxies);
  expect(await guessKeys(gateway, "198.51.100.1")).toBe(20);
  expect(await guessKeys(gateway, "1.1.1.1, 198.51.100.1")).toBe(0);
});

test("a key that was used well from there goes on, on every way, whatever its neighbours do", async () => {
  await using gateway = await startGateway(proxies);
  const { request_id } = (await gateway.call("POST", "/v2/words", {}, from("198.51.100.1"))).json();
  const status = `/v2/requests/${String(request_id)}/status`;
  // Another that has only ever polled, and one that has only waited.
  await gateway.call("GET", status, undefined, from("198.51.100.2"));
  await gateway.call("GET", `${status}?wait=0.001`, undefined, from("198.51.100.3"));
  for (const address of ["198.51.100.1", "198.51.100.2", "198.51.100.3"]) {
    await guessKeys(gateway, address);
    const calls: [string, string, unknown?][] = [
      ["GET", status],
      ["GET", `${status}?wait=0.001`],
      ["GET", `/v2/requests/${String(request_id)}`],
      ["GET", "/v2/requests"],
      ["POST", "/v2/words", {}],
      ["POST", "/v1/nothing", {}],
    ];
    for (const [method, path, body] of calls) {
      const { status } = await gateway.call(method, path, body, from(address));
      expect([path, status]).toEqual([path, path === "/v1/nothing" ? 404 : 200]);
    }
  }
});

test("whoever has no key is told so: nothing was guessed", async () => {
  await using gateway = await startGateway(proxies);
  await guessKeys(gateway, "198.51.100.1");
  const forwarded = { "x-forwarded-for": "198.51.100.1", "x-api-key": "" };
  expect((await gateway.call("GET", NOBODYS, undefined, forwarded)).headers["x-error-code"]).toBe("missing_key");
  expect((await gateway.call("GET", "/healthz", undefined, forwarded)).status).toBe(200);
});

test("a right key that was guessed is told the same as a wrong one, on every way", async () => {
  await using gateway = await startGateway(proxies);
  const id = await gateway.submit("words", {});
  await guessKeys(gateway, "198.51.100.1");
  const calls: [string, string, unknown?][] = [
    ["GET", `/v2/requests/${id}/status`],
    ["GET", `/v2/requests/${id}/status?wait=1`],
    ["GET", `/v2/requests/${id}/events`],
    ["POST", "/v2/words", {}],
    ["POST", "/v2/nothing", {}],
    ["POST", "/upload-asset", {}],
    ["GET", "/metrics"],
  ];
  for (const [method, path, body] of calls) {
    const [right, wrong] = [
      await gateway.call(method, path, body, from("198.51.100.1", KEY)),
      await gateway.call(method, path, body, from("198.51.100.1", "SG_wrong")),
    ];
    expectThrottled(right);
    const told = ({ status, headers, text }: Answer): unknown => [status, { ...headers, date: "" }, text];
    expect(told(right)).toEqual(told(wrong));
  }
});

test("a good key that was never seen there is heard again within a second of the last wrong one", async () => {
  await using gateway = await startGateway(proxies);
  await guessKeys(gateway, "198.51.100.1");
  const refused = await gateway.call("POST", "/v2/words", {}, from("198.51.100.1"));
  expectThrottled(refused);
  gateway.clock.advance(Number(refused.headers["retry-after"]) * 1_000);
  expect((await gateway.call("POST", "/v2/words", {}, from("198.51.100.1"))).status).toBe(200);
  // And from then on it is known there.
  await guessKeys(gateway, "198.51.100.1");
  expect((await gateway.call("POST", "/v2/words", {}, from("198.51.100.1"))).status).toBe(200);
  expectThrottled(await gateway.call("POST", "/v2/words", {}, from("198.51.100.1", OTHER_KEY)));
});

test("a use is remembered for half an hour at least, and as long as it goes on", async () => {
  await using gateway = await startGateway(proxies);
  const list = (key: string): Promise<Answer> =>
    gateway.call("GET", "/v2/requests", undefined, from("198.51.100.1", key));
  await list(OTHER_KEY);
  for (let i = 0; i < 12; i += 1) {
    expect((await list(KEY)).status).toBe(200);
    gateway.clock.advance(29 * 60_000);
    await guessKeys(gateway, "198.51.100.1");
  }
  expect((await list(KEY)).status).toBe(200);
  expectThrottled(await list(OTHER_KEY));
});

test("more networks than are remembered take each other's place, and no memory", async () => {
  await using gateway = await startGateway(proxies);
  const address = addressOf(["127.0.0.1"]);
  const guard = bruteForce({
    clock: gateway.clock,
    logger: pino({ enabled: false }),
    metrics: { refused: () => {} },
    addressOf: address,
    whoOf: address,
  });
  const guess = (client: string): LimitError | undefined => {
    const headers = { "x-forwarded-for": client };
    return guard.wrong({ headers, socket: { remoteAddress: "127.0.0.1" } } as unknown as IncomingMessage);
  };
  for (let i = 0; i < 20; i += 1) expect(guess("198.51.100.1")).toBeUndefined();
  expect(guess("198.51.100.1")).toBeInstanceOf(LimitError);
  for (let i = 0; i < 10_000; i += 1) guess(`2001:db8:${i.toString(16)}::1`);
  expect(guess("198.51.100.1")).toBeUndefined();
});

test("wrong tokens for events are wrong keys; a right one is always let in", async () => {
  await using gateway = await startGateway(proxies);
  const answer = await gateway.call("POST", "/v2/words", {}, from("198.51.100.9"));
  const [, url = ""] = /<([^>]*\/events\?token=[^>]*)>/.exec(String(answer.headers.link)) ?? [];
  const { pathname, search } = new URL(url);
  const follow = (token: string): Promise<Answer> =>
    send(gateway.port, "GET", `${pathname}${token}`, { host: "x", "x-forwarded-for": "198.51.100.1" });
  for (let guesses = 0; guesses < 20; guesses += 1) {
    expect((await follow(`?token=wrong${guesses}`)).headers["x-error-code"]).toBe("invalid_token");
  }
  expectThrottled(await follow("?token=wrong"));
  await gateway.complete("words", { kind: "text", text: "", reasoning: null });
  expect((await follow(search)).status).toBe(200);
});

test("ids that are no requests of the caller's are answered a hundred at once, then ten a second", async () => {
  await using gateway = await startGateway(proxies);
  const own = await gateway.submit("words", {});
  const foreign = requestIds(gateway.clock, ID_SECRET);
  const poll = (id: string, headers = from("198.51.100.1")): Promise<Answer> =>
    gateway.call("GET", `/v2/requests/${id}/status`, undefined, headers);
  for (let guesses = 0; guesses < 100; guesses += 1) {
    expect((await poll(foreign.make("nobody", null).id)).headers["x-error-code"]).toBe("unknown");
  }
  const strange = foreign.make("nobody", null).id;
  expectThrottled(await poll(strange));
  expectThrottled(await gateway.call("GET", `/v2/webhooks/deliveries/${strange}`, undefined, from("198.51.100.1")));
  expectThrottled(await gateway.call("POST", `/v2/requests/${strange}/cancel`, undefined, from("198.51.100.1")));
  expect((await poll(own)).status).toBe(200);
  gateway.clock.advance(100);
  expect((await poll(strange)).status).toBe(404);
  expectThrottled(await poll(strange));
  // Another key behind the same address, and the same key elsewhere, have their own.
  expect((await poll(strange, from("198.51.100.1", OTHER_KEY))).status).toBe(404);
  expect((await poll(strange, from("198.51.100.2"))).status).toBe(404);
});

test("checks of a key and late pollers may come as often as they like", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  await gateway.call("POST", `/v2/requests/${id}/cancel`);
  await gateway.call("DELETE", `/v2/requests/${id}`);
  for (let i = 0; i < 150; i += 1) {
    expect((await gateway.call("GET", NOBODYS)).status).toBe(404);
    expect((await gateway.call("GET", `/v2/requests/${id}/status`)).status).toBe(404);
  }
});

test("it is counted, and told in the log once a minute for each network", async () => {
  await using gateway = await startGateway(proxies);
  await guessKeys(gateway, "198.51.100.1");
  await guessKeys(gateway, "198.51.100.1");
  await guessKeys(gateway, "198.51.100.2");
  const lines = gateway.logs.filter((line) => line.includes(`"too_many_failures"`)).map((line) => JSON.parse(line));
  expect(lines).toEqual(
    ["198.51.100.1", "198.51.100.2"].map((network) =>
      expect.objectContaining({ audit: "too_many_failures", of: "keys", network }),
    ),
  );
  expect(await gateway.metrics()).toContain(`inferq_refused_total{code="too_many_failures"} 3`);
});
