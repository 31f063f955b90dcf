/** `X-Keep-Until-Read`: a result waits for its reader, and then lives as long as others do. */
import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import type { Result } from "../../src/core/request.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { type Gateway, KEY, startGateway, TestClock } from "./harness.ts";

const WEEK_MS = 604_800_000;
const HOUR_MS = 3_600_000;
const TEXT: Result = { kind: "text", text: "worth the wait", reasoning: null };

let gateway: Gateway;
let store: RequestStore;
/** Expiries that were brought nearer. */
let counted: string[];

beforeEach(async () => {
  const clock = new TestClock();
  const memory = memoryStore({ clock });
  counted = [];
  store = {
    ...memory,
    expireBy: async (id, at) => {
      const done = await memory.expireBy(id, at);
      counted.push(id);
      return done;
    },
  };
  gateway = await startGateway({}, { store, clock });
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

async function kept(path = "/v2/words", headers: Record<string, string> = {}): Promise<string> {
  const answer = await gateway.call("POST", path, {}, { "x-keep-until-read": "true", ...headers });
  return String(answer.json()["request_id"]);
}

/** Resolves when a reading of `id` has been counted: that comes a few turns after the answer's last byte. */
async function isCounted(id: string): Promise<void> {
  while (!counted.includes(id)) await new Promise(setImmediate);
}

async function lifeLeft(id: string): Promise<number | undefined> {
  const view = await store.status(id);
  return view && view.expiresAt - gateway.clock.now();
}

test.each(["/v2/requests/", "/v1/requests/"])("the first reading of the result (%s) begins its hour", async (path) => {
  const id = await kept();
  await gateway.complete("words", TEXT, 0);
  gateway.clock.advance(5 * HOUR_MS);
  expect(await lifeLeft(id)).toBe(WEEK_MS - 5 * HOUR_MS);
  expect((await gateway.call("GET", path + id)).json()["output"]).toBe("worth the wait");
  await isCounted(id);
  expect(await lifeLeft(id)).toBe(HOUR_MS);

  gateway.clock.advance(HOUR_MS - 1);
  expect((await gateway.call("GET", path + id)).status).toBe(200);
  gateway.clock.advance(1);
  expect((await gateway.call("GET", path + id)).status).toBe(404);
  expect(counted).toEqual([id]); // the second reading had nothing to change
});

test("its own life, where the client asked for one", async () => {
  const id = await kept("/v2/words", { "x-result-ttl": "30" });
  await gateway.complete("words", TEXT, 0);
  gateway.clock.advance(HOUR_MS);
  await gateway.call("GET", `/v2/requests/${id}`);
  await isCounted(id);
  expect(await lifeLeft(id)).toBe(30_000);
});

test("a failure is an outcome, and reading it is a reading", async () => {
  const id = await kept();
  await gateway.fail("words", { code: "model_error", message: "No." });
  expect((await gateway.call("GET", `/v2/requests/${id}`)).status).toBe(422);
  await isCounted(id);
  expect(await lifeLeft(id)).toBe(HOUR_MS);
});

test("the synchronous call and the submit that waits are readings", async () => {
  for (const path of ["/v1/words", "/v2/words?wait=30"]) {
    const answer = gateway.call("POST", path, {}, { "x-keep-until-read": "true", "idempotency-key": path });
    const id = await kept("/v2/words", { "idempotency-key": path }); // the same request, whichever comes first
    await gateway.complete("words", TEXT, 0);
    expect((await answer).json()["output"]).toBe("worth the wait");
    await isCounted(id);
    expect(await lifeLeft(id)).toBe(HOUR_MS);
  }
});

test("status polls, HEAD and answers before the end are no readings", async () => {
  const id = await kept();
  await gateway.call("GET", `/v2/requests/${id}`);
  await gateway.call("GET", `/v1/requests/${id}`);
  await gateway.complete("words", TEXT, 0);
  await gateway.call("GET", `/v2/requests/${id}/status`);
  await gateway.call("HEAD", `/v2/requests/${id}`);
  await gateway.call("HEAD", `/v1/requests/${id}`);
  expect(counted).toEqual([]);
  expect(await lifeLeft(id)).toBe(WEEK_MS);
});

test("other requests' lives are left alone", async () => {
  const id = await gateway.submit("words", {});
  await gateway.complete("words", TEXT, 0);
  await gateway.call("GET", `/v2/requests/${id}`);
  expect(counted).toEqual([]);
});

test("an answer that broke off in the middle is no reading; the next whole one is", async () => {
  const id = await kept();
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.alloc(32 * 1024 * 1024, "long "));
  await gateway.complete("words", { kind: "text", text: file, reasoning: null }, 0);
  await new Promise<void>((resolve, reject) => {
    const headers = { "x-api-key": KEY };
    const request = httpRequest(
      { port: gateway.port, path: `/v2/requests/${id}`, headers, agent: false },
      (response) => {
        response.once("data", () => response.destroy());
        response.once("close", resolve);
      },
    );
    request.once("error", reject);
    request.end();
  });
  await gateway.call("GET", `/v2/requests/${id}/status`);
  expect(counted).toEqual([]);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).bytes.length).toBeGreaterThan(file.size);
  await isCounted(id);
  expect(counted).toEqual([id]);
});

test("an answer whose file cannot be read is no reading", async () => {
  const id = await kept();
  const file = { key: `${id}/1/${"0".repeat(32)}.txt`, contentType: "text/plain", size: 9, fileName: "output.txt" };
  await gateway.complete("words", { kind: "text", text: file, reasoning: null }, 0);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).headers["x-error-code"]).toBe("unknown_file");
  expect(counted).toEqual([]);
});

test("a reading that cannot be written down delays and fails no answer; the log tells", async () => {
  const memory = memoryStore({ clock: new TestClock() });
  const failed = Promise.withResolvers<void>();
  const expireBy = async (): Promise<boolean> => {
    failed.resolve();
    throw new InferqError("store_unavailable");
  };
  await using own = await startGateway({}, { store: { ...memory, expireBy } });
  const headers = { "x-keep-until-read": "true" };
  const id = String((await own.call("POST", "/v2/words", {}, headers)).json()["request_id"]);
  await own.complete("words", TEXT, 0);
  expect((await own.call("GET", `/v2/requests/${id}`)).json()["output"]).toBe("worth the wait");
  await failed.promise;
  await own.call("GET", "/healthz");
  expect(own.logs.join("")).toContain("a reading was not counted");
});
