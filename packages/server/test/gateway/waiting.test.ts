/** `?wait=` and `Prefer: wait=`: one call that answers when the request is finished, instead of many that ask. */
import { once } from "node:events";
import { connect } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Result } from "../../src/core/request.ts";
import { type Answer, type Gateway, KEY, OTHER_KEY, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

const PATHS = [
  (id: string) => `/v2/requests/${id}/status`,
  (id: string) => `/v2/requests/${id}`,
  (id: string) => `/v1/requests/${id}`,
];

const TEXT: Result = { kind: "text", text: "42", reasoning: null };

/** Resolves when the gateway has found a request unfinished, and so holds whoever waits for it. */
function held(): Promise<void> {
  const { status } = gateway.store;
  return new Promise((resolve) => {
    vi.spyOn(gateway.store, "status").mockImplementationOnce((id) => {
      resolve();
      return status(id);
    });
  });
}

/** Begins a call that waits; answers its answer to come. */
async function begin(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  const isHeld = held();
  const answer = gateway.call(method, path, body, headers);
  await Promise.race([isHeld, answer]);
  return { answer };
}

async function expectPlain(answer: Answer, path: string): Promise<void> {
  const plain = await gateway.call("GET", path);
  expect([answer.status, answer.text]).toEqual([plain.status, plain.text]);
  expect(answer.headers["x-error-code"]).toBe(plain.headers["x-error-code"]);
}

test.each(PATHS)("a poll answers as soon as the request is finished, as a poll then does", async (path) => {
  const id = await gateway.submit("words", {});
  const { answer } = await begin("GET", `${path(id)}?wait=30`);
  await gateway.complete("words", TEXT);
  const completed = await answer;
  expect(completed.json()["status"]).toBe("COMPLETED");
  expect(completed.headers["preference-applied"]).toBe("wait=30");
  await expectPlain(completed, path(id));
  // What is finished already is not waited for.
  await expectPlain(await gateway.call("GET", `${path(id)}?wait=30`), path(id));
});

test.each(PATHS)("a failure is answered likewise", async (path) => {
  const id = await gateway.submit("words", {});
  const { answer } = await begin("GET", `${path(id)}?wait=30`);
  await gateway.fail("words", { code: "model_error", message: "There are no words." });
  expect((await answer).json()).toMatchObject({ status: "FAILED", error: "There are no words." });
  await expectPlain(await answer, path(id));
});

test.each(PATHS)("at its time limit a poll answers the state of then", async (path) => {
  const id = await gateway.submit("words", {});
  await gateway.lease("words");
  const answer = await gateway.call("GET", `${path(id)}?wait=0.02`);
  expect([answer.status, answer.json()["status"]]).toEqual([200, "PROCESSING"]);
  await expectPlain(answer, path(id));
});

test("nobody waits longer than the operator allows, and is told", async () => {
  await gateway[Symbol.asyncDispose]();
  gateway = await startGateway({ waitLimitSeconds: 0.02 });
  const id = await gateway.submit("words", {});
  for (const [query, prefer] of [
    ["?wait=3600", ""],
    ["", "wait=3600"],
  ]) {
    const answer = await gateway.call("GET", `/v2/requests/${id}/status${query}`, undefined, { prefer: prefer! });
    expect(answer.json()["status"]).toBe("QUEUED");
    expect(answer.headers["preference-applied"]).toBe("wait=0.02");
  }
});

test.each([
  ["wait=30", "wait=30"],
  ['respond-async, Wait = "30"; strict', "wait=30"],
  ["wait=30, wait=10", "wait=30"],
  ["return=minimal", undefined],
  ["wait=0", undefined],
  ["wait=soon", undefined],
  ["wait, wait=30", undefined],
  ["waiting=30", undefined],
])("Prefer: %s", async (prefer, applied) => {
  const id = await gateway.submit("words", {});
  const { answer } = await begin("GET", `/v2/requests/${id}`, undefined, { prefer });
  if (applied === undefined) await answer; // it did not wait
  await gateway.complete("words", TEXT);
  expect((await answer).headers["preference-applied"]).toBe(applied);
  expect((await answer).json()["status"]).toBe(applied === undefined ? "QUEUED" : "COMPLETED");
});

test("of a query and a header the query counts, and a wait of 0 is none", async () => {
  const id = await gateway.submit("words", {});
  const plain = await gateway.call("GET", `/v2/requests/${id}/status`);
  for (const query of ["?wait=0", "?wait=0.0"]) {
    const answer = await gateway.call("GET", `/v2/requests/${id}/status${query}`, undefined, { prefer: "wait=30" });
    expect(answer.text).toBe(plain.text);
    expect(answer.headers).not.toHaveProperty("preference-applied");
  }
});

test.each(["", "soon", "-1", "1e3", "30s"])("?wait=%s is refused with a sentence", async (value) => {
  const id = await gateway.submit("words", {});
  const calls = [...PATHS.map((path) => ["GET", path(id)] as const), ["POST", "/v2/words"] as const];
  for (const [method, path] of calls) {
    const answer = await gateway.call(method, `${path}?wait=${value}`, method === "POST" ? {} : undefined);
    expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
    expect(answer.json()["error"]).toBe(`wait must be a number of seconds, such as ?wait=30, got "${value}".`);
  }
  expect(gateway.store.stats().models.get("words")?.queued).toBe(1);
});

test("there is nothing to wait for without a key, or where there is no such request", async () => {
  const id = await gateway.submit("words", {});
  const keyless = await gateway.call("GET", `/v2/requests/${id}?wait=30`, undefined, { "x-api-key": "" });
  expect([keyless.status, keyless.headers["x-error-code"]]).toEqual([401, "missing_key"]);
  const other = await gateway.call("GET", `/v2/requests/${id}?wait=30`, undefined, { "x-api-key": OTHER_KEY });
  expect([other.status, other.text]).toEqual([404, `{"error":"Request ${id} not found"}`]);
  const unknown = await gateway.call("GET", "/v2/requests/00000000-0000-0000-0000-000000000000?wait=30");
  expect(unknown.status).toBe(404);
});

test("a request that is deleted or expires while it is waited for is not found, at once", async () => {
  const deleted = await gateway.submit("words", {});
  const waiting = await begin("GET", `/v2/requests/${deleted}/status?wait=30`);
  await gateway.store.finish(deleted, { type: "delete" });
  expect((await waiting.answer).status).toBe(404);

  const expired = await gateway.submit("words", {});
  const polling = await begin("GET", `/v2/requests/${expired}?wait=30`);
  gateway.clock.advance(3_600_000);
  await gateway.store.finish(expired, { type: "expire" }); // as the sweep does
  expect((await polling.answer).status).toBe(404);
});

test("one call submits, waits, and answers the result", async () => {
  const { answer } = await begin("POST", "/v2/words?wait=30", {});
  const { id } = await gateway.complete("words", TEXT);
  expect((await answer).status).toBe(200);
  expect((await answer).headers["preference-applied"]).toBe("wait=30");
  const { status, ...result } = (await gateway.call("GET", `/v2/requests/${id}`)).json();
  expect(Object.entries((await answer).json())).toEqual([
    ["request_id", id],
    ["status", status],
    ["poll_url", `${gateway.base}/v1/requests/${id}`],
    ["status_url", `${gateway.base}/v2/requests/${id}/status`],
    ["response_url", `${gateway.base}/v2/requests/${id}`],
    ...Object.entries(result),
  ]);
});

test("a form waits too, and so does who prefers to", async () => {
  const form = '--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nhello\r\n--x--\r\n';
  const type = { "content-type": "multipart/form-data; boundary=x" };
  const { answer } = await begin("POST", "/v2/words", form, { ...type, prefer: "wait=30" });
  await gateway.complete("words", TEXT);
  expect((await answer).json()).toMatchObject({ status: "COMPLETED", output: "42" });
});

test("a long text streams through the answer to its submit", async () => {
  const text = 'Zeile "eins"\n😀ß'.repeat(20_000);
  const { answer } = await begin("POST", "/v2/words?wait=30", {});
  const { id, token } = await gateway.lease("words");
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.from(text));
  const result = { kind: "text", text: file, reasoning: null } as const;
  await gateway.store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: true });
  expect((await answer).json()).toMatchObject({ request_id: id, status: "COMPLETED", output: text, partial: false });
});

test("a result that many wait for is read a few times, not once for each", async () => {
  const id = await gateway.submit("words", {});
  const answers: Promise<Answer>[] = [];
  for (let i = 0; i < 100; i++) answers.push((await begin("GET", `/v2/requests/${id}?wait=30`)).answer);
  const get = vi.spyOn(gateway.store, "get");
  await gateway.complete("words", TEXT);
  for (const answer of await Promise.all(answers)) expect(answer.json()).toMatchObject({ output: "42" });
  expect(get.mock.calls.length).toBeLessThan(10);
});

test("a client that goes away while it waits leaves its request alone", async () => {
  const isHeld = held();
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write(`POST /v2/words?wait=30 HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n`);
  socket.write("Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  await isHeld;
  socket.destroy();
  const { id } = await gateway.complete("words", TEXT);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).json()["output"]).toBe("42");
});

test("a connection that has waited goes on", async () => {
  const id = await gateway.submit("words", {});
  const isHeld = held();
  const socket = connect(gateway.port, "127.0.0.1").setEncoding("utf8");
  socket.write(`GET /v2/requests/${id}/status?wait=30 HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n`);
  await isHeld;
  await gateway.complete("words", TEXT);
  expect((await once(socket, "data"))[0]).toContain(`{"status":"COMPLETED"`);
  socket.write(`GET /v2/requests/${id} HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n`);
  expect((await once(socket, "data"))[0]).toContain(`"output":"42"`);
  socket.destroy();
});

test("of calls that one connection sends at once the first waits; the others are answered behind it, as they were", async () => {
  const id = await gateway.submit("words", {});
  const isHeld = held();
  const socket = connect(gateway.port, "127.0.0.1").setEncoding("utf8");
  const poll = `GET /v2/requests/${id}/status?wait=30 HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n`;
  socket.write(`${poll}\r\n${poll}\r\n${poll}connection: close\r\n\r\n`);
  await isHeld;
  await gateway.complete("words", TEXT);
  const answers = await textOf(socket);
  expect(answers.match(/"status":"\w+"/g)).toEqual(['"status":"COMPLETED"', '"status":"QUEUED"', '"status":"QUEUED"']);
  expect(answers.match(/preference-applied: wait=30/g)).toHaveLength(1);
});

test("a server that stops answers those who wait with the state of then", async () => {
  const id = await gateway.submit("words", {});
  const polling = await begin("GET", `/v2/requests/${id}/status?wait=30`);
  const submitting = await begin("POST", "/v2/words?wait=30", {});
  const closed = gateway.close();
  for (const { answer } of [polling, submitting]) {
    expect([(await answer).status, (await answer).json()["status"]]).toEqual([200, "QUEUED"]);
    expect((await answer).headers.connection).toBe("close");
  }
  await closed;
});

test("a page of another origin may wait, and reads what it was granted", async () => {
  await gateway[Symbol.asyncDispose]();
  gateway = await startGateway({ corsOrigins: ["https://app.example"] });
  const id = await gateway.submit("words", {});
  const origin = { origin: "https://app.example" };
  const { answer } = await begin("GET", `/v2/requests/${id}/status?wait=30`, undefined, origin);
  await gateway.complete("words", TEXT);
  expect((await answer).json()["status"]).toBe("COMPLETED");
  expect((await answer).headers["access-control-allow-origin"]).toBe("https://app.example");
  expect((await answer).headers["access-control-expose-headers"]).toContain("preference-applied");
});
