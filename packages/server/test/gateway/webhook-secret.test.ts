/** The secret that an owner's webhooks are signed with: read, and rotated with an overlap in which both sign. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { PLAIN_KEY, type KeyStore } from "../../src/store/keys.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { scratchDirectory } from "../scratch.ts";
import { ADMIN_KEY, apiKey, type Gateway, OTHER_KEY, send, startGateway, TestClock } from "./harness.ts";

const PATH = "/v2/webhooks/secret";

let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let keys: KeyStore;
let gateway: Gateway;
beforeEach(async () => {
  scratch = await scratchDirectory();
  const clock = new TestClock();
  keys = sqliteKeys(scratch.path, clock);
  gateway = await startGateway({}, { keys, secrets: keys, clock });
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
  keys[Symbol.dispose]();
  await scratch[Symbol.asyncDispose]();
});

async function read(key?: string): Promise<Record<string, unknown>> {
  const answer = await gateway.call("GET", PATH, undefined, key === undefined ? {} : { "x-api-key": key });
  expect([answer.status, answer.headers["cache-control"]], answer.text).toEqual([200, "no-store"]);
  return answer.json();
}

async function rotate(query = ""): Promise<Record<string, unknown>> {
  const answer = await gateway.call("POST", `${PATH}/rotate${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json();
}

test("an owner has one from its first look on, the same for all its keys, and nobody else's", async () => {
  const secret = await read();
  expect(secret).toEqual({
    secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) as unknown,
    created_at: "2026-09-21T14:13:20.000Z",
    previous: null,
  });
  gateway.clock.advance(1_000);
  expect([await read(), await read(ADMIN_KEY)]).toEqual([secret, secret]);
  expect((await read(OTHER_KEY))["secret"]).not.toBe(secret["secret"]);
});

test("after a rotation the old one is shown for a day, or for as long as was said", async () => {
  const first = await read();
  gateway.clock.advance(1_000);
  const second = await rotate();
  expect(second).toEqual({
    secret: expect.stringMatching(/^whsec_/) as unknown,
    created_at: "2026-09-21T14:13:21.000Z",
    previous: { secret: first["secret"], expires_at: "2026-09-22T14:13:21.000Z" },
  });
  expect(second["secret"]).not.toBe(first["secret"]);
  expect(await read()).toEqual(second);
  const line = gateway.logs.find((one) => one.includes("webhook_secret_rotated"))!;
  expect(JSON.parse(line)).toMatchObject({ audit: "webhook_secret_rotated", key: "one", owner: "one" });
  expect(gateway.logs.join("")).not.toContain("whsec_");
  gateway.clock.advance(86_400_000);
  expect(await read()).toEqual({ ...second, previous: null });

  expect(await rotate("?overlap=60")).toMatchObject({
    previous: { secret: second["secret"], expires_at: "2026-09-22T14:14:21.000Z" },
  });
  expect(await rotate("?overlap=0")).toMatchObject({ previous: null });
});

test("another owner's stays when one rotates its own", async () => {
  const others = await read(OTHER_KEY);
  await rotate();
  expect(await read(OTHER_KEY)).toEqual(others);
});

test.each(["-1", "604801", "1.5", "", "day"])(
  "an overlap of %j is refused, and nothing is rotated",
  async (overlap) => {
    const secret = await read();
    const answer = await gateway.call("POST", `${PATH}/rotate?overlap=${overlap}`);
    expect([answer.status, answer.json()]).toEqual([
      400,
      {
        error: `overlap must be a whole number of seconds from 0 to 604800, a week, for which the old secret goes on signing, got "${overlap}".`,
      },
    ]);
    expect(await read()).toEqual(secret);
  },
);

test("a key that may not submit does not see it; a body is not needed and not minded", async () => {
  keys.add({ ...PLAIN_KEY, ...apiKey("reader", "SG_reader", false), scopes: ["read"] }, "cli");
  for (const [method, path] of [["GET", PATH] as const, ["POST", `${PATH}/rotate`] as const]) {
    const refused = await gateway.call(method, path, undefined, { "x-api-key": "SG_reader" });
    expect([refused.status, refused.headers["x-error-code"]]).toEqual([403, "scope_missing"]);
    expect((await send(gateway.port, method, path, {})).headers["x-error-code"]).toBe("missing_key");
  }
  expect((await gateway.call("POST", `${PATH}/rotate`, "no JSON at all")).status).toBe(200);
});

test("what cannot be written is not there", async () => {
  const failing = {
    ...keys,
    secretsOf: () => keys.secretsOf("one"),
    rotateSecret: () => {
      throw new Error("disk full");
    },
  };
  await using broken = await startGateway({}, { secrets: failing });
  const answer = await broken.call("POST", `${PATH}/rotate`);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([503, "store_unavailable"]);
  expect(await read()).toMatchObject({ previous: null });
});
