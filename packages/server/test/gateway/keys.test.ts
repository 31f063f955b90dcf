import { afterEach, expect, test } from "vitest";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { scratchDirectory } from "../scratch.ts";
import { ADMIN_KEY, apiKey, type Gateway, KEY, OTHER_KEY, send, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
afterEach(async () => await gateway[Symbol.asyncDispose]());

const PROBE = "/v2/requests/00000000-0000-0000-0000-000000000000/status";
const MISSING = `{"error":"Missing Authorization or x-api-key in header"}`;
const INVALID = `{"error":"Unauthorized. API key is invalid or may have expired..."}`;

test("the key probe: 404 with a good key in either header, 401 with a bad one or none", async () => {
  gateway = await startGateway();
  const probe = async (headers: Record<string, string>): Promise<[number, string]> => {
    const { status, text } = await send(gateway.port, "GET", PROBE, headers);
    return [status, text];
  };
  const unknown = `{"error":"Request 00000000-0000-0000-0000-000000000000 not found"}`;
  expect(await probe({ "x-api-key": KEY })).toEqual([404, unknown]);
  expect(await probe({ authorization: `Bearer ${KEY}` })).toEqual([404, unknown]);
  expect(await probe({ authorization: `bearer ${KEY}`, "x-initiator": "SDK-PY" })).toEqual([404, unknown]);
  expect(await probe({})).toEqual([401, MISSING]);
  expect(await probe({ "x-api-key": "" })).toEqual([401, MISSING]);
  expect(await probe({ authorization: `Basic ${KEY}` })).toEqual([401, MISSING]);
  expect(await probe({ "x-api-key": "SG_nobody" })).toEqual([401, INVALID]);
  expect(await probe({ authorization: "Bearer SG_nobody" })).toEqual([401, INVALID]);
});

test("of two headers x-api-key counts, unless it is empty", async () => {
  gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}/status`;
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await send(gateway.port, "GET", path, headers)).status;
  expect(await status({ "x-api-key": KEY, authorization: "Bearer wrong" })).toBe(200);
  expect(await status({ "x-api-key": "wrong", authorization: `Bearer ${KEY}` })).toBe(401);
  expect(await status({ "x-api-key": "", authorization: `Bearer ${KEY}` })).toBe(200);
  expect(await status({ "x-api-key": OTHER_KEY })).toBe(404);
});

test("two keys of one owner see the same requests", async () => {
  gateway = await startGateway();
  const id = await gateway.submit("words", {});
  expect((await gateway.call("GET", `/v2/requests/${id}`, undefined, { "x-api-key": ADMIN_KEY })).status).toBe(200);
});

test("a key works as soon as it is made, and stops as soon as it is revoked", async () => {
  await using scratch = await scratchDirectory();
  const clock = new TestClock();
  using keys = sqliteKeys(scratch.path, clock);
  gateway = await startGateway({}, { keys, clock });
  const probe = async (): Promise<number> =>
    (await send(gateway.port, "GET", PROBE, { "x-api-key": "SG_later" })).status;
  expect(await probe()).toBe(401);
  keys.add(apiKey("later", "SG_later", false), "cli");
  expect(await probe()).toBe(404);
  keys.revoke("later", "cli");
  expect(await probe()).toBe(401);
});

test("401 comes first, whatever else is wrong, on every path that needs a key", async () => {
  gateway = await startGateway();
  const calls = [
    ["POST", "/v2/nothing"],
    ["POST", "/v1/nothing"],
    ["POST", "/upload-asset"],
    ["GET", "/v2/models"],
    ["GET", "/v2/models/nothing"],
    ["GET", "/v2/requests/nothing"],
    ["GET", "/v1/requests/nothing"],
    ["GET", "/v2/requests/nothing?wait=soon"],
    ["GET", "/v2/requests/nothing/status?wait=soon"],
    ["GET", "/v1/requests/nothing?wait=soon"],
    ["POST", "/v2/nothing?wait=soon"],
    ["GET", "/v2/requests?limit=none"],
    ["GET", "/v2/requests/nothing/timeline"],
    ["DELETE", "/v2/requests/nothing"],
    ["POST", "/v2/requests/nothing/cancel"],
    ["POST", "/v2/requests/nothing/retry"],
    ["GET", "/metrics"],
  ] as const;
  for (const [method, path] of calls) {
    const answer = await send(gateway.port, method, path, { "x-api-key": "wrong" });
    expect([path, answer.status, answer.text]).toEqual([path, 401, INVALID]);
    expect(answer.headers["x-error-code"]).toBe("invalid_key");
  }
});

test("no key and no input is ever logged", async () => {
  gateway = await startGateway();
  await gateway.submit("picture", { prompt: "a secret wish" });
  expect(gateway.logs.join("")).toContain(`"key":"one"`);
  expect(gateway.logs.join("")).not.toContain(KEY);
  expect(gateway.logs.join("")).not.toContain("secret wish");
});
