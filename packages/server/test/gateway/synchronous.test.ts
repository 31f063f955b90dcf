/** `POST /v1/{model}`: one call, one output, over the same queue. */
import { afterEach, expect, test } from "vitest";
import type { Result } from "../../src/core/request.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { type Answer, type Gateway, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
afterEach(async () => await gateway[Symbol.asyncDispose]());

/** Calls V1 and, once the request is queued, completes it with what `resultOf` makes. */
async function run(model: string, body: unknown, resultOf: (id: string) => Promise<Result>): Promise<[Answer, string]> {
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const answering = gateway.call("POST", `/v1/${model}`, body);
  await queued;
  const lease = await gateway.lease(model);
  const result = await resultOf(lease.id);
  await gateway.store.settle(lease.id, lease.token, { type: "complete", result, inferenceMs: 1_500, hasFiles: true });
  return [await answering, lease.id];
}

const BYTES = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255, 254, 1]);

const picture = async (id: string): Promise<Result> => ({
  kind: "image",
  files: [await gateway.artifact(id, "output.png", "image/png", BYTES)],
  seed: "7",
});

test("an image comes as its bytes, with the headers that clients read", async () => {
  gateway = await startGateway({ remainingCredits: 42 });
  const [answer, id] = await run("picture", { prompt: "x" }, picture);
  expect([answer.status, answer.bytes]).toEqual([200, BYTES]);
  expect(answer.headers).toMatchObject({
    "content-type": "image/png",
    "content-length": String(BYTES.length),
    "x-request-id": id,
    "x-generation-time": "1.500",
    "x-remaining-credits": "42",
    "x-cost": "0",
  });
  expect((await gateway.call("GET", `/v2/requests/${id}/status`)).json()["status"]).toBe("COMPLETED");
});

test("base64: true asks for JSON, and is no field of the model's", async () => {
  gateway = await startGateway();
  const [answer, id] = await run("picture", { prompt: "x", base64: true, other: 1 }, picture);
  expect(answer.json()).toMatchObject({ image: BYTES.toString("base64"), status: "COMPLETED", seed: "7" });
  expect(Object.keys(answer.json()).slice(0, 2)).toEqual(["image", "status"]);
  expect(answer.headers["x-request-id"]).toBe(id);
  expect(answer.headers.warning).toMatch(/: other"$/);
});

test("video and audio likewise, in pieces that need not divide by three", async () => {
  gateway = await startGateway();
  const bytes = Buffer.alloc(200_000, "film");
  for (const [model, kind, name, type] of [
    ["film", "video", "output.mp4", "video/mp4"],
    ["speech", "audio", "output.wav", "audio/wav"],
  ] as const) {
    const resultOf = async (id: string): Promise<Result> => ({
      kind,
      file: await gateway.artifact(id, name, type, bytes),
    });
    const [raw] = await run(model, {}, resultOf);
    expect([raw.headers["content-type"], raw.bytes.equals(bytes)]).toEqual([type, true]);
    const [json] = await run(model, { base64: "true" }, resultOf);
    expect(Buffer.from(String(json.json()[kind]), "base64").equals(bytes)).toBe(true);
  }
});

test("a text model answers the result's JSON", async () => {
  gateway = await startGateway();
  const [answer] = await run("words", {}, async () => ({ kind: "text", text: "Hello.", reasoning: null }));
  expect(answer.text).toBe(`{"status":"COMPLETED","output":"Hello.","reasoning":null,"partial":false,"error":null}`);
  expect(answer.headers["x-generation-time"]).toBe("1.500");
});

test("a run that failed is 500 with the model's sentence", async () => {
  gateway = await startGateway();
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const answering = gateway.call("POST", "/v1/words", {});
  await queued;
  const { id } = await gateway.fail("words", { code: "model_error", message: "There are no words." });
  const answer = await answering;
  expect([answer.status, answer.text]).toEqual([500, `{"error":"There are no words."}`]);
  expect(answer.headers["x-request-id"]).toBe(id);
});

test.each([
  ["input_blocked", 400, "image may not be fetched from 10.0.0.1: it is a private address."],
  ["invalid_input", 400, "image is damaged."],
  ["media_too_large", 413, "image is larger than 5 bytes, the most that is taken here."],
  ["cancelled", 400, "The request was cancelled."],
] as const)("a run that failed for what was asked is the caller's error: %s is %i", async (code, status, message) => {
  gateway = await startGateway();
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const answering = gateway.call("POST", "/v1/words", {});
  await queued;
  await gateway.fail("words", { code, message });
  const answer = await answering;
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([status, code]);
  expect(answer.json()).toEqual({ error: message });
});

test("an input that does not fit is 400, and nothing is queued", async () => {
  gateway = await startGateway();
  const answer = await gateway.call("POST", "/v1/picture", { prompt: 1 });
  expect([answer.status, answer.text]).toEqual([400, `{"error":"prompt must be a string, got 1."}`]);
});

test("past its time limit the answer is 504 with the id, and the request lives on", async () => {
  gateway = await startGateway({ syncTimeoutSeconds: 0.02 });
  const answer = await gateway.call("POST", "/v1/words", {});
  const id = String(answer.headers["x-request-id"]);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([504, "sync_timeout"]);
  expect(answer.json()["error"]).toContain(`The request ${id} did not finish within 0.02 s.`);
  await gateway.complete("words", { kind: "text", text: "late", reasoning: null });
  expect((await gateway.call("GET", `/v2/requests/${id}`)).json()["output"]).toBe("late");
});

test("a stop answers those who wait, and says that their request lives on", async () => {
  gateway = await startGateway();
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const waiting = gateway.call("POST", "/v1/words", {});
  await queued;
  const closed = gateway.close();
  const answer = await waiting;
  await closed;
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([504, "sync_stopped"]);
  const id = String(answer.headers["x-request-id"]);
  expect(answer.json()["error"]).toContain(`The server is stopping. The request ${id} lives on`);
  expect((await gateway.store.get(id))?.status).toBe("QUEUED");
});

test("a store that gives no hints is asked again and again", async () => {
  const { onWake, ...store } = memoryStore({ clock: new TestClock() });
  const asked: string[] = [];
  const silent: RequestStore = {
    ...store,
    async enqueue(submission) {
      const answer = await store.enqueue(submission);
      // Completed by somebody of whom this process hears nothing, after the first look.
      const [lease] = await store.lease({
        worker: "far away",
        capacity: new Map([["words", 1]]),
        leaseMs: 30_000,
        durable: false,
      });
      asked.push(lease!.token);
      return answer;
    },
    async status(id) {
      const view = await store.status(id);
      const token = asked.shift();
      const result = { kind: "text", text: "found", reasoning: null } as const;
      if (token !== undefined) {
        await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
      }
      return view;
    },
  };
  expect(onWake).toBeDefined();
  gateway = await startGateway({}, { store: silent });
  expect((await gateway.call("POST", "/v1/words", {})).json()["output"]).toBe("found");
});

test("a server that stops answers those who wait, and accepts no more", async () => {
  gateway = await startGateway();
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const answering = gateway.call("POST", "/v1/words", {});
  await queued;
  const [answer] = await Promise.all([answering, gateway.close()]);
  expect([answer.status, answer.headers.connection]).toEqual([504, "close"]);
});
