/** A submit's place is given back however the submit ends; a replay needs none; a restart counts what is stored. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import { catalog } from "../../src/model/catalog.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { type Answer, apiKey, type Gateway, KEY, MODELS, OTHER_KEY, startGateway, TestClock } from "./harness.ts";

const one = { keyRequestsInFlight: 1, waitingLimit: 1 };
const models = catalog(
  MODELS.map((model) => ({ ...model, waitingLimit: 1 })),
  () => ({ type: "ready" }),
);
const FORM = { "content-type": "multipart/form-data; boundary=x" };

function submit(gateway: Gateway, headers: Record<string, string> = {}): Promise<Answer> {
  return gateway.call("POST", "/v2/words", {}, headers);
}

test("whatever is wrong with a submit, the next one has its place", async () => {
  const clock = new TestClock();
  const store = memoryStore({ clock });
  let enqueue = store.enqueue;
  await using gateway = await startGateway(one, {
    clock,
    models,
    store: { ...store, enqueue: (submission) => enqueue(submission) },
  });
  const refused: [string, () => Promise<Answer>][] = [
    ["malformed_json", () => gateway.call("POST", "/v2/words", "{")],
    ["malformed_multipart", () => gateway.call("POST", "/v2/words", "no form", FORM)],
    ["invalid_input", () => gateway.call("POST", "/v2/picture", {})],
    ["invalid_input", () => gateway.call("POST", "/v2/picture", { prompt: "x", image: "data:image/png;base64,!" })],
    ["bad_request", () => gateway.call("POST", "/v2/words?wait=never", {})],
  ];
  for (const [code, call] of refused) expect((await call()).headers["x-error-code"]).toBe(code);
  for (const fault of [new InferqError("store_unavailable"), new Error("a fault of the store's")]) {
    enqueue = () => Promise.reject(fault);
    expect((await submit(gateway)).status).toBeGreaterThanOrEqual(500);
  }
  ({ enqueue } = store);

  const ways: (() => Promise<string>)[] = [
    async () => (await gateway.complete("words", { kind: "text", text: "", reasoning: null })).id,
    async () => (await gateway.fail("words", { code: "model_error", message: "no" })).id,
  ];
  for (const way of ways) {
    expect((await submit(gateway)).status).toBe(200);
    expect((await submit(gateway)).headers["x-error-code"]).toBe("too_many_in_flight");
    await way();
  }
  const { request_id: id } = (await submit(gateway)).json();
  await gateway.call("POST", `/v2/requests/${String(id)}/cancel`);
  const { request_id: next } = (await submit(gateway)).json();
  await gateway.call("DELETE", `/v2/requests/${String(next)}`);
  expect((await submit(gateway)).status).toBe(200);
});

test("a synchronous call keeps one place, not two, and keeps it when its client has gone", async () => {
  await using gateway = await startGateway({ keyRequestsInFlight: 2, syncTimeoutSeconds: 0.001 });
  expect((await gateway.call("POST", "/v1/words", {})).headers["x-error-code"]).toBe("sync_timeout");
  expect((await submit(gateway)).status).toBe(200);
  expect((await submit(gateway)).headers["x-error-code"]).toBe("too_many_in_flight");
});

test("a retry needs a place too", async () => {
  await using gateway = await startGateway({ keyRequestsInFlight: 1 });
  const id = await gateway.submit("words", {});
  await gateway.complete("words", { kind: "text", text: "", reasoning: null });
  expect((await gateway.call("POST", `/v2/requests/${id}/retry`)).status).toBe(200);
  const refused = await gateway.call("POST", `/v2/requests/${id}/retry`);
  expect(refused.headers["x-error-code"]).toBe("too_many_in_flight");
});

test("a replay adds nothing: no limit but the rate keeps it out, whichever way it comes", async () => {
  const disk = { isFull: false };
  await using gateway = await startGateway(one, { models, disk });
  const key = { "idempotency-key": "order-4711" };
  const first = await gateway.call("POST", "/v2/picture", { prompt: "a rose" }, key);
  expect(first.status).toBe(200);
  disk.isFull = true;
  const form = `--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\na rose\r\n--x--\r\n`;
  for (const again of [
    await gateway.call("POST", "/v2/picture", { prompt: "a rose" }, key),
    await gateway.call("POST", "/v2/picture", form, { ...key, ...FORM }),
  ]) {
    expect(again.status).toBe(200);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(again.json()["request_id"]).toBe(first.json()["request_id"]);
  }
  const other = await gateway.call("POST", "/v2/picture", { prompt: "a boat" }, key);
  expect(other.headers["x-error-code"]).toBe("idempotency_conflict");
  const unknown = await gateway.call("POST", "/v2/picture", { prompt: "a rose" }, { "idempotency-key": "order-4712" });
  expect(unknown.headers["x-error-code"]).toBe("too_many_in_flight");
  const foreign = await gateway.call("POST", "/v2/picture", { prompt: "a rose" }, { ...key, "x-api-key": OTHER_KEY });
  expect(foreign.headers["x-error-code"]).toBe("model_queue_full");
});

test("in how many seconds there is a place is told from how long runs took", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inferq-limits-"));
  const clock = new TestClock();
  await using store = await sqliteStore({ directory, clock });
  await using gateway = await startGateway({ keyRequestsInFlight: 2 }, { clock, store });
  for (let i = 0; i < 5; i += 1) {
    await submit(gateway);
    await gateway.complete("words", { kind: "text", text: "", reasoning: null }, 20_000);
  }
  await submit(gateway);
  await submit(gateway);
  await gateway.lease("words");
  const refused = await submit(gateway);
  const seconds = Number(refused.headers["retry-after"]);
  expect(seconds).toBeGreaterThanOrEqual(10);
  expect(seconds).toBeLessThanOrEqual(60);
  expect(refused.headers.ratelimit).toBe(`"in-flight";r=0;t=${seconds}`);
  await rm(directory, { recursive: true });
});

test("after a restart what is stored counts", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inferq-limits-"));
  const clock = new TestClock();
  {
    await using store = await sqliteStore({ directory, clock });
    await using gateway = await startGateway({ keyRequestsInFlight: 3 }, { clock, store });
    for (let i = 0; i < 3; i += 1) expect((await submit(gateway)).status).toBe(200);
    await gateway.lease("words");
  }
  await using store = await sqliteStore({ directory, clock });
  await using gateway = await startGateway({ keyRequestsInFlight: 3 }, { clock, store });
  expect((await submit(gateway)).headers["x-error-code"]).toBe("too_many_in_flight");
  expect((await submit(gateway, { "x-api-key": OTHER_KEY })).status).toBe(200);
  await rm(directory, { recursive: true });
});

test("while the store is still read in, only whoever has a limit waits for its count", async () => {
  const clock = new TestClock();
  const store = memoryStore({ clock });
  const { promise, resolve } = Promise.withResolvers<void>();
  let counting: Promise<void> | undefined = promise;
  const load = {
    waiting: 0,
    waitingFor: () => 0,
    unfinishedOf: () => (counting === undefined ? 1 : 0),
    get counting() {
      return counting;
    },
  };
  const staticKeys = [{ ...apiKey("one", KEY, false), requestsInFlight: 1 }, apiKey("two", OTHER_KEY, false)];
  await using gateway = await startGateway({}, { clock, store: { ...store, load }, staticKeys });
  const limited = submit(gateway);
  expect((await submit(gateway, { "x-api-key": OTHER_KEY })).status).toBe(200);
  counting = undefined;
  resolve();
  expect((await limited).headers["x-error-code"]).toBe("too_many_in_flight");
});
