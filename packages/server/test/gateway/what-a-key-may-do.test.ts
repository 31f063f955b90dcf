/** Scopes, models, expiry and rotation of keys, as whoever calls with them meets them. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KeyStore, Scope } from "../../src/store/keys.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { scratchDirectory } from "../scratch.ts";
import { type Answer, apiKey, type Gateway, send, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
let keys: KeyStore;
let open: AsyncDisposableStack;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  const { path } = open.use(await scratchDirectory());
  const clock = new TestClock();
  keys = open.use(sqliteKeys(path, clock));
  gateway = open.use(await startGateway({}, { keys, clock }));
});
afterEach(async () => await open.disposeAsync());

function addKey(secret: string, terms: Partial<ReturnType<typeof apiKey>> = {}): void {
  keys.add({ ...apiKey(secret, secret, false), ...terms }, "cli");
}

async function call(secret: string, method: string, path: string, body?: string, more = {}): Promise<Answer> {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return await send(gateway.port, method, path, { "x-api-key": secret, ...type, ...more }, body);
}

function codeOf({ status, headers }: Answer): [number, unknown] {
  return [status, headers["x-error-code"]];
}

const NOBODY = "00000000-0000-7000-8000-000000000000";
const CALLS: readonly (readonly [Scope, string, string])[] = [
  ["submit", "POST", "/v2/words"],
  ["submit", "POST", "/v2/words?wait=1"],
  ["submit", "POST", "/v1/words"],
  ["submit", "POST", "/upload-asset"],
  ["submit", "POST", `/v2/requests/${NOBODY}/cancel`],
  ["submit", "POST", `/v2/requests/${NOBODY}/retry`],
  ["submit", "DELETE", `/v2/requests/${NOBODY}`],
  ["read", "GET", `/v2/requests/${NOBODY}/status`],
  ["read", "GET", `/v2/requests/${NOBODY}/status?wait=1`],
  ["read", "GET", `/v2/requests/${NOBODY}`],
  ["read", "GET", `/v1/requests/${NOBODY}`],
  ["read", "GET", `/v2/requests/${NOBODY}/timeline`],
  ["read", "GET", `/v2/requests/${NOBODY}/events`],
  ["read", "GET", "/v2/requests"],
  ["admin", "GET", "/metrics"],
];

test("a key that lacks the scope of a call is refused, and told which it lacks", async () => {
  for (const scope of ["submit", "read", "admin"] as const) {
    const scopes = (["submit", "read", "admin"] as const).filter((other) => other !== scope);
    addKey(`SG_without_${scope}`, { scopes });
  }
  for (const [scope, method, path] of CALLS) {
    const answer = await call(`SG_without_${scope}`, method, path, method === "POST" ? "{}" : undefined);
    expect([method, path, ...codeOf(answer)]).toEqual([method, path, 403, "scope_missing"]);
    expect(answer.json()["error"]).toContain(`lacks the scope ${scope}.`);
  }
});

test("a key with the one scope that a call needs gets further, and any key sees the models", async () => {
  for (const scope of ["submit", "read", "admin"] as const) addKey(`SG_only_${scope}`, { scopes: [scope] });
  for (const [scope, method, path] of CALLS) {
    if (path.startsWith("/v1/words") || path.includes("wait")) continue; // nobody would answer it
    const answer = await call(`SG_only_${scope}`, method, path, method === "POST" ? "{}" : undefined);
    expect([401, 403], `${method} ${path}`).not.toContain(answer.status);
  }
  expect((await call("SG_only_admin", "GET", "/v2/models")).status).toBe(200);
});

test("a submit that waits needs no scope but submit for its outcome", async () => {
  addKey("SG_sender", { scopes: ["submit"] });
  const answer = call("SG_sender", "POST", "/v2/words?wait=30", "{}");
  const { promise: queued, resolve } = Promise.withResolvers<void>();
  gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  await queued;
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  expect((await answer).json()).toMatchObject({ status: "COMPLETED" });
});

test("a key runs the models of its list, by any of their names, and no others", async () => {
  addKey("SG_picture", { models: ["picture"] });
  addKey("SG_alias", { models: ["seedream-4.5", "film"] });
  const submit = async (secret: string, model: string, more = {}): Promise<[number, unknown]> =>
    codeOf(await call(secret, "POST", `/v2/${model}`, `{"prompt":"a rose"}`, more));
  for (const secret of ["SG_picture", "SG_alias"]) {
    expect(await submit(secret, "picture")).toEqual([200, undefined]);
    expect(await submit(secret, "seedream-4.5")).toEqual([200, undefined]);
    // The short way, and the long one.
    for (const more of [{}, { prefer: "respond-async" }]) {
      expect(await submit(secret, "words", more)).toEqual([403, "model_not_allowed"]);
    }
    expect(codeOf(await call(secret, "POST", "/v1/words", "{}"))).toEqual([403, "model_not_allowed"]);
    expect(await submit(secret, "nothing")).toEqual([404, "unknown_model"]);
    const { models } = (await call(secret, "GET", "/v2/models")).json() as { models: unknown[] };
    expect(models).toHaveLength(4); // it is no secret what is served
  }
});

test("a request of one's own is retried only by a key that may use its model", async () => {
  addKey("SG_all", { owner: "team" });
  addKey("SG_film", { owner: "team", models: ["film"] });
  const id = String((await call("SG_all", "POST", "/v2/words", "{}")).json()["request_id"]);
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  expect(codeOf(await call("SG_film", "POST", `/v2/requests/${id}/retry`))).toEqual([403, "model_not_allowed"]);
  expect((await call("SG_all", "POST", `/v2/requests/${id}/retry`)).status).toBe(200);
});

test("a key works until it expires", async () => {
  addKey("SG_short", { expiresAt: gateway.clock.now() + 60_000 });
  const status = async (): Promise<number> => (await call("SG_short", "GET", "/v2/requests")).status;
  expect(await status()).toBe(200);
  gateway.clock.advance(59_999);
  expect(await status()).toBe(200);
  gateway.clock.advance(1);
  expect(await status()).toBe(401);
});

test("a rotated key keeps its requests; the secret before works until the overlap ends", async () => {
  addKey("SG_before");
  const id = String((await call("SG_before", "POST", "/v2/words", "{}")).json()["request_id"]);
  const status = async (secret: string): Promise<number> =>
    (await call(secret, "GET", `/v2/requests/${id}/status`)).status;
  keys.rotate("SG_before", apiKey("", "SG_after", false).hash, 60_000, "cli");
  expect([await status("SG_before"), await status("SG_after")]).toEqual([200, 200]);
  gateway.clock.advance(60_000);
  expect([await status("SG_before"), await status("SG_after")]).toEqual([401, 200]);
});

test("however often a key that has ended comes, it is told so, and keeps no new one out", async () => {
  addKey("SG_before");
  addKey("SG_after");
  keys.revoke("SG_before", "cli");
  for (let calls = 0; calls < 30; calls += 1) {
    expect(codeOf(await call("SG_before", "GET", "/v2/requests"))).toEqual([401, "invalid_key"]);
  }
  expect((await call("SG_after", "GET", "/v2/requests")).status).toBe(200);
});

test.each(["revoked", "expired"])("whoever waits with a key that is %s waits no longer", async (how) => {
  addKey("SG_waits", { expiresAt: gateway.clock.now() + 60_000 });
  const id = String((await call("SG_waits", "POST", "/v2/words", "{}")).json()["request_id"]);
  let held = 0;
  const { promise: allHeld, resolve } = Promise.withResolvers<void>();
  const { status } = gateway.store;
  gateway.store.status = (asked) => {
    if (++held === 4) resolve(); // two looks for each: whose it is, and whether it has finished
    return status(asked);
  };
  const waits = [
    call("SG_waits", "GET", `/v2/requests/${id}?wait=60`),
    call("SG_waits", "GET", `/v1/requests/${id}`, undefined, { prefer: "wait=60" }),
  ];
  await allHeld;
  if (how === "revoked") keys.revoke("SG_waits", "cli");
  else gateway.clock.advance(60_000);
  for (const answer of await Promise.all(waits)) expect(codeOf(answer)).toEqual([401, "invalid_key"]);
});

test.each(["/v2/words?wait=60", "/v1/words"])(
  "POST %s: a revoked key waits no longer, its request lives on",
  async (path) => {
    addKey("SG_waits");
    const answer = call("SG_waits", "POST", path, "{}");
    const { promise: queued, resolve } = Promise.withResolvers<void>();
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
    await queued;
    keys.revoke("SG_waits", "cli");
    expect(codeOf(await answer)).toEqual([401, "invalid_key"]);
    expect((await gateway.lease("words")).owner).toBe("SG_waits");
  },
);
