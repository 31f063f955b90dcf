/** URLs in answers are those under which the caller reached the server. */
import { afterEach, expect, test } from "vitest";
import type { GatewaySettings } from "../../src/gateway/options.ts";
import { type Answer, type Gateway, KEY, send, startGateway } from "./harness.ts";

let gateway: Gateway;
afterEach(async () => await gateway[Symbol.asyncDispose]());

async function submit(settings: Partial<GatewaySettings>, headers: Record<string, string>): Promise<Answer> {
  gateway = await startGateway(settings);
  const own = { "x-api-key": KEY, "content-type": "application/json" };
  return await send(gateway.port, "POST", "/v2/words", { ...own, ...headers }, "{}");
}

function originOf(answer: Answer): string {
  const url = new URL(String(answer.json()["status_url"]));
  return `${url.protocol}//${url.host}`;
}

test("from the Host header", async () => {
  expect(originOf(await submit({}, { host: "Example.com:8080" }))).toBe("http://example.com:8080");
});

test("an IPv6 Host", async () => {
  expect(originOf(await submit({}, { host: "[::1]:8787" }))).toBe("http://[::1]:8787");
});

test.each([
  ["a b"],
  ["evil.example/path"],
  ['x"y'],
  ["user@host"],
  ["host:port"],
  ["<script>"],
  ["é.example"],
  ["a:99999"],
  ["1.2.3.400"],
])("Host %j is refused", async (host) => {
  const answer = await submit({}, { host });
  expect(answer.status).toBe(400);
});

test("X-Forwarded-* of a stranger is ignored", async () => {
  const headers = { host: "real.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https" };
  expect(originOf(await submit({}, headers))).toBe("http://real.example");
});

test("X-Forwarded-* of a trusted proxy is believed", async () => {
  const headers = { host: "10.0.0.7:8787", "x-forwarded-host": "api.example, inner", "x-forwarded-proto": "https" };
  expect(originOf(await submit({ trustedProxies: ["127.0.0.0/8"] }, headers))).toBe("https://api.example");
});

test("a trusted proxy that passes Host through and tells the protocol alone", async () => {
  const headers = { host: "api.example", "x-forwarded-proto": "https" };
  expect(originOf(await submit({ trustedProxies: ["127.0.0.1"] }, headers))).toBe("https://api.example");
});

test("a trusted proxy's bad host is refused too", async () => {
  const answer = await submit({ trustedProxies: ["127.0.0.1"] }, { "x-forwarded-host": "a b" });
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_host"]);
});

test("a fixed public URL wins over everything", async () => {
  const answer = await submit({ publicUrl: "https://fixed.example" }, { host: "a b" });
  expect(originOf(answer)).toBe("https://fixed.example");
});

test("two callers under two names each get their own", async () => {
  const first = await submit({}, { host: "one.example" });
  const path = new URL(String(first.json()["status_url"])).pathname;
  for (const host of ["two.example", "one.example", "two.example"]) {
    const answer = await send(gateway.port, "GET", path, { "x-api-key": KEY, host });
    expect(originOf(answer)).toBe(`http://${host}`);
  }
  const bad = await send(gateway.port, "GET", path, { "x-api-key": KEY, host: "a b" });
  expect(bad.status).toBe(400);
});
