/** A caller runs the input of a finished request once more: a new request that needs the old one no more. */
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { InferqError } from "../../src/core/errors.ts";
import type { StoredInput } from "../../src/core/request.ts";
import { catalog } from "../../src/model/catalog.ts";
import { defineModel } from "../../src/model/model.ts";
import { type Answer, type Gateway, MODELS, OTHER_KEY, startGateway } from "./harness.ts";
import { PNG } from "../media/samples.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

const FAILURE = { code: "model_error", message: "Out of paint." } as const;

function retry(id: string, headers: Record<string, string> = {}, of = gateway): Promise<Answer> {
  return of.call("POST", `/v2/requests/${id}/retry`, undefined, headers);
}

/** Retries and answers the new id. */
async function retried(id: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await retry(id, headers);
  expect(answer.status, answer.text).toBe(200);
  return String(answer.json()["request_id"]);
}

async function failed(input: unknown, headers: Record<string, string> = {}): Promise<string> {
  const answer = await gateway.call("POST", "/v2/picture", input, headers);
  await gateway.fail("picture", FAILURE);
  return String(answer.json()["request_id"]);
}

interface Medium {
  readonly $media: Readonly<Record<string, unknown>>;
}

async function files(id: string): Promise<string[]> {
  const found: string[] = [];
  for await (const name of gateway.blobs.list(`${id}/0/`)) found.push(`${id}/0/${name}`);
  return found;
}

async function inputOf(stored: StoredInput): Promise<Record<string, unknown>> {
  const json = "json" in stored ? stored.json : await text((await gateway.blobs.get(stored.key))!);
  return JSON.parse(json) as Record<string, unknown>;
}

test("the answer is that of a submit and names the old request, which stays as it is", async () => {
  const old = await failed({ prompt: "a rose", seed: 7 });
  const before = (await gateway.call("GET", `/v2/requests/${old}`)).text;
  gateway.clock.advance(60_000);
  const answer = await retry(old);
  const id = String(answer.json()["request_id"]);
  expect(id).not.toBe(old);
  const { base } = gateway;
  expect(answer.text).toBe(
    `{"request_id":"${id}","status":"QUEUED","poll_url":"${base}/v1/requests/${id}",` +
      `"status_url":"${base}/v2/requests/${id}/status","response_url":"${base}/v2/requests/${id}","retry_of":"${old}"}`,
  );
  expect(await inputOf((await gateway.lease("picture")).input)).toEqual({ prompt: "a rose", seed: 7 });
  expect((await gateway.call("GET", `/v2/requests/${old}`)).text).toBe(before);
  const { requests } = (await gateway.call("GET", "/v2/requests")).json() as { requests: Record<string, unknown>[] };
  expect(requests.map((one) => [one["request_id"], one["retry_of"]])).toEqual([
    [id, old],
    [old, null],
  ]);
});

test("it has the same options, and its times begin anew", async () => {
  const old = await failed(
    { prompt: "a rose" },
    { "x-priority": "high", "x-start-timeout": "30", "x-run-timeout": "5", "x-result-ttl": "600" },
  );
  const first = (await gateway.store.get(old))!;
  gateway.clock.advance(300_000);
  const second = (await gateway.store.get(await retried(old)))!;
  const now = gateway.clock.now();
  await gateway.fail("picture", FAILURE);
  expect(second).toMatchObject({ priority: 1, runTimeoutMs: 5_000, startDeadline: now + 30_000, keepMs: null });
  expect([first.expiresAt - first.createdAt, second.expiresAt - now]).toEqual([600_000, 600_000]);

  const kept = await failed({ prompt: "a rose" }, { "x-keep-until-read": "true", "x-result-ttl": "60" });
  await gateway.call("GET", `/v2/requests/${kept}`); // its minute has begun
  const again = (await gateway.store.get(await retried(kept)))!;
  expect([again.keepMs, again.expiresAt - gateway.clock.now()]).toEqual([60_000, 604_800_000]);
});

test("its files are its own: the old request may be deleted", async () => {
  const image = PNG.toString("base64");
  const url = "https://example.com/photo.png";
  const old = await failed({ prompt: "a rose", image, image_input: [image, url] });
  const id = await retried(old);
  expect((await gateway.call("DELETE", `/v2/requests/${old}`)).status).toBe(204);

  const stored = (await gateway.lease("picture")).input;
  const input = (await inputOf(stored)) as unknown as {
    readonly image: Medium;
    readonly image_input: readonly Medium[];
  };
  const media = [input.image, ...input.image_input];
  expect(media[2]).toEqual({ $media: { url } });
  for (const { $media } of media.slice(0, 2)) {
    expect($media).toMatchObject({ contentType: "image/png", size: PNG.length });
    expect(String($media["key"]).startsWith(`${id}/0/`)).toBe(true);
    const bytes = await (await gateway.blobs.get(String($media["key"])))!.toArray();
    expect(Buffer.concat(bytes as Buffer[]).equals(PNG)).toBe(true);
  }
  expect((await gateway.call("DELETE", `/v2/requests/${id}`)).status).toBe(204);
  expect(await files(id)).toEqual([]);
});

test("an input too large for the queue is copied as a file too", async () => {
  const prompt = "a rose ".repeat(20_000);
  const essay = defineModel({
    name: "essay",
    output: "text",
    input: { type: "object", properties: { prompt: { type: "string" } } },
    run: () => "",
  });
  const models = catalog([...MODELS, { definition: essay, timeoutMs: 60_000 }], () => ({ type: "ready" }));
  await using other = await startGateway(
    {},
    { store: gateway.store, blobs: gateway.blobs, clock: gateway.clock, models },
  );
  for (const [model, filesOfOne] of [
    ["picture", 2],
    ["essay", 1],
  ] as const) {
    const old = await other.submit(model, { prompt, image: PNG.toString("base64") });
    await other.fail(model, FAILURE);
    const id = String((await retry(old, {}, other)).json()["request_id"]);
    expect((await other.call("DELETE", `/v2/requests/${old}`)).status).toBe(204);
    const { input } = await other.lease(model);
    expect("key" in input && input.key.startsWith(`${id}/0/`)).toBe(true);
    expect((await inputOf(input))["prompt"]).toBe(prompt);
    expect(JSON.stringify(await inputOf(input))).not.toContain(old);
    expect(await files(id)).toHaveLength(filesOfOne);
  }
});

test("one that has not finished is refused, and told what it is", async () => {
  const id = await gateway.submit("words", {});
  for (const status of ["QUEUED", "PROCESSING"]) {
    if (status === "PROCESSING") await gateway.lease("words");
    const answer = await retry(id);
    expect([answer.status, answer.headers["x-error-code"]]).toEqual([409, "not_finished"]);
    const error = `Request ${id} has not finished: it is ${status}. Cancel it first, or wait.`;
    expect(answer.json()).toEqual({ error, status, request_id: id });
  }
});

test("a retry that comes again under its idempotency key runs once, also when a hundred come at once", async () => {
  const old = await failed({ prompt: "a rose", image: PNG.toString("base64") });
  const key = { "idempotency-key": "again 7" };
  const answers = await Promise.all(Array.from({ length: 100 }, () => retry(old, key)));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const [id, ...others] = new Set(answers.map((answer) => String(answer.json()["request_id"])));
  expect(others).toEqual([]);
  expect(answers.filter(({ headers }) => headers["idempotent-replayed"] === "true")).toHaveLength(99);
  const ids: string[] = [];
  for await (const name of gateway.blobs.list("")) ids.push(name);
  expect(new Set(ids)).toEqual(new Set([old, id]));

  // Its answer may have been lost, and the old request be gone since.
  await gateway.call("DELETE", `/v2/requests/${old}`);
  const late = await retry(old, key);
  expect([late.json()["request_id"], late.json()["retry_of"]]).toEqual([id, old]);
  expect((await retry(old)).status).toBe(404);
});

test("the key of another request is refused, whether that was a submit or another retry", async () => {
  const one = await failed({ prompt: "a rose" });
  const two = await failed({ prompt: "a rose" }, { "idempotency-key": "submit" });
  const again = await retried(one, { "idempotency-key": "retry" });
  for (const key of ["submit", "retry"]) {
    const answer = await retry(two, { "idempotency-key": key });
    expect([answer.status, answer.headers["x-error-code"]]).toEqual([409, "idempotency_conflict"]);
  }
  const submit = await gateway.call("POST", "/v2/picture", { prompt: "a rose" }, { "idempotency-key": "retry" });
  expect(submit.json()["error"]).toContain(again);
  expect((await retry(one, { "idempotency-key": "" })).json()["error"]).toContain("Idempotency-Key must be");
});

test("a model that is served no more, or cannot run, is told", async () => {
  const old = await failed({ prompt: "a rose" });
  gateway.states.set("picture", { type: "failed", reason: "no weights" });
  const unable = await retry(old);
  expect([unable.status, unable.json()["error"]]).toEqual([503, "Model picture cannot run here: no weights."]);

  const models = catalog(MODELS.slice(1), () => ({ type: "ready" }));
  await using other = await startGateway(
    {},
    { store: gateway.store, blobs: gateway.blobs, clock: gateway.clock, models },
  );
  const gone = await retry(old, {}, other);
  expect([gone.status, gone.headers["x-error-code"]]).toEqual([404, "unknown_model"]);
  expect(gone.json()["error"]).toBe("Model picture not found. GET /v2/models lists the models served here.");
});

test("nobody retries another owner's, nor one that has expired; and no body is needed", async () => {
  const old = await failed({ prompt: "a rose" });
  expect((await retry(old, { "x-api-key": OTHER_KEY })).status).toBe(404);
  expect((await retry(old, { "x-api-key": "" })).status).toBe(401);
  for (const [body, type] of [
    [undefined, "application/json"],
    ["not JSON", "application/json"],
    ["x", "a/b/c"],
  ] as const) {
    const answer = await gateway.call("POST", `/v2/requests/${old}/retry`, body, { "content-type": type });
    expect(answer.status, answer.text).toBe(200);
  }
  const got = await gateway.call("GET", `/v2/requests/${old}/retry`);
  expect([got.status, got.headers["allow"]]).toEqual([405, "POST"]);
  gateway.clock.advance(3_600_000);
  expect((await retry(old)).headers["x-error-code"]).toBe("expired");
});

test("one that is deleted while its files are copied is not found, and nothing is left", async () => {
  const old = await failed({ prompt: "a rose", image: PNG.toString("base64") });
  const { store, clock, blobs } = gateway;
  const deleting: BlobStore = {
    ...blobs,
    async put(key, source) {
      await gateway.call("DELETE", `/v2/requests/${old}`);
      return await blobs.put(key, source);
    },
  };
  await using other = await startGateway({}, { store, clock, blobs: deleting });
  expect((await retry(old, {}, other)).json()).toEqual({ error: `Request ${old} not found` });
  for await (const id of blobs.list("")) expect.fail(`${id} was left`);
});

test("a store that fails is told, and nothing is left", async () => {
  const old = await failed({ prompt: "a rose", image: PNG.toString("base64") });
  const { clock, blobs } = gateway;
  const store = { ...gateway.store, enqueue: () => Promise.reject(new InferqError("store_unavailable")) };
  await using other = await startGateway({}, { store, clock, blobs });
  const answer = await retry(old, {}, other);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([503, "store_unavailable"]);
  for await (const id of blobs.list("")) expect(id).toBe(old);
});
