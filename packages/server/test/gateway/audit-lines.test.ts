/** What the log tells of keys: first uses and refusals, with the client's address, and never a key. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KeyStore } from "../../src/store/keys.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { scratchDirectory } from "../scratch.ts";
import { apiKey, type Gateway, KEY, send, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
let keys: KeyStore;
let open: AsyncDisposableStack;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  const { path } = open.use(await scratchDirectory());
  const clock = new TestClock();
  keys = open.use(sqliteKeys(path, clock));
  gateway = open.use(await startGateway({ trustedProxies: ["127.0.0.1"] }, { keys, clock }));
});
afterEach(async () => await open.disposeAsync());

type Line = Record<string, unknown>;

function audit(): Line[] {
  return gateway.logs.map((line) => JSON.parse(line) as Line).filter((line) => line["audit"] !== undefined);
}

async function get(secret: string, path = "/v2/requests", from = "203.0.113.7"): Promise<number> {
  return (await send(gateway.port, "GET", path, { "x-api-key": secret, "x-forwarded-for": from })).status;
}

test("the first use of a key is told once, that of a key of the environment too", async () => {
  keys.add({ ...apiKey("ci", "SG_ci", false), owner: "team" }, "cli");
  for (const secret of ["SG_ci", "SG_ci", KEY, KEY]) expect(await get(secret)).toBe(200);
  keys.revoke("ci", "cli"); // which makes the gateway look the others up anew
  expect(await get(KEY)).toBe(200);
  expect(audit()).toMatchObject([
    { audit: "key_used_first", key: "ci", owner: "team", address: "203.0.113.7" },
    { audit: "key_used_first", key: "one", owner: "one", address: "203.0.113.7" },
  ]);
});

test("a refusal says why, to the log alone", async () => {
  const now = gateway.clock.now();
  keys.add(apiKey("gone", "SG_gone", false), "cli");
  keys.add({ ...apiKey("old", "SG_old", false), expiresAt: now + 1 }, "cli");
  keys.add(apiKey("turned", "SG_turned", false), "cli");
  keys.add({ ...apiKey("film", "SG_film", false), models: ["film"] }, "cli");
  keys.revoke("gone", "cli");
  keys.rotate("turned", apiKey("", "SG_new", false).hash, 0, "cli");
  gateway.clock.advance(1);
  for (const secret of ["SG_nobody", "SG_gone", "SG_old", "SG_turned"]) expect(await get(secret)).toBe(401);
  expect(await get("SG_film", "/metrics")).toBe(403);
  const headers = { "x-api-key": "SG_film", "content-type": "application/json", "x-forwarded-for": "203.0.113.8" };
  expect((await send(gateway.port, "POST", "/v2/words", headers, "{}")).status).toBe(403);
  expect((await send(gateway.port, "GET", "/v2/requests", {})).status).toBe(401); // without a key: nobody was refused

  const refused = audit().filter((line) => line["audit"] === "key_refused");
  expect(refused.map(({ why, code, key, address }) => [why, code, key, address])).toEqual([
    ["unknown", "invalid_key", null, "203.0.113.7"],
    ["revoked", "invalid_key", "gone", "203.0.113.7"],
    ["expired", "invalid_key", "old", "203.0.113.7"],
    ["rotated", "invalid_key", "turned", "203.0.113.7"],
    ["scope", "scope_missing", "film", "203.0.113.7"],
    ["model", "model_not_allowed", "film", "203.0.113.8"],
  ]);
  expect(gateway.logs.join("")).not.toMatch(/SG_|[0-9a-f]{64}/);
});

test("a flood of refusals is told as ten lines and a number, of each address", async () => {
  for (let i = 0; i < 25; i++) await get(`SG_guess_${i}`);
  for (let i = 0; i < 3; i++) await get(`SG_guess_${i}`, "/v2/requests", "2001:db8::1");
  await gateway.close();
  const lines = audit();
  expect(lines.filter((line) => line["audit"] === "key_refused")).toHaveLength(13);
  expect(lines.filter((line) => line["audit"] === "keys_refused")).toMatchObject([
    { address: "203.0.113.7", count: 10 }, // from the twenty-first on none is looked at: limits.md
  ]);
});
