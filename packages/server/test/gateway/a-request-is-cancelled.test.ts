/** `POST /v2/requests/{id}/cancel`, as its caller sees it; docs/guide/cancel.md. */
import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import { ADMIN_KEY, type Answer, type Gateway, KEY, OTHER_KEY, send, startGateway, TestClock } from "./harness.ts";

const cancel = (gateway: Gateway, id: string, headers: Record<string, string> = {}): Promise<Answer> =>
  gateway.call("POST", `/v2/requests/${id}/cancel`, undefined, headers);

const CANCELLED = {
  status: "FAILED",
  error: "The request was cancelled.",
  metrics: { inference_time: 0, queue_time: 0, total_time: 0 },
};

test("a request that waits is cancelled: it is FAILED, and no worker gets it any more", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const answer = await cancel(gateway, id);
  expect(answer.status).toBe(200);
  expect(answer.headers["x-error-code"]).toBe("cancelled");
  expect(answer.json()).toEqual(CANCELLED);

  const polled = await gateway.call("GET", `/v2/requests/${id}/status`);
  expect(polled.status).toBe(422);
  expect(polled.headers["x-error-code"]).toBe("cancelled");
  expect(polled.text).toBe(answer.text);
  await expect(gateway.lease("words")).rejects.toThrow("no request for words waits");
});

test("one that waits for its next try is cancelled too", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const { token } = await gateway.lease("words");
  const failure = { code: "retries_exhausted", message: "Later." } as const;
  await gateway.store.settle(id, token, { type: "fail", kind: "retryable", failure, inferenceMs: 1 });
  expect((await cancel(gateway, id)).json()).toEqual(CANCELLED);
  gateway.clock.advance(60_000);
  await expect(gateway.lease("words")).rejects.toThrow("no request for words waits");
});

test("one that runs is cancelled, and what its worker brings then is refused", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  gateway.clock.advance(1_500);
  expect((await cancel(gateway, id)).json()).toMatchObject({ status: "FAILED", metrics: { total_time: 1.5 } });
  expect(await settle(gateway.store, lease)).toEqual({ ok: false, refusal: "finished" });
  const result = await gateway.call("GET", `/v2/requests/${id}`);
  expect([result.status, result.headers["x-error-code"]]).toEqual([422, "cancelled"]);
});

test("a cancel may come twice: the answer is the same", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const first = await cancel(gateway, id);
  gateway.clock.advance(1_000);
  const second = await cancel(gateway, id);
  expect([second.status, second.headers["x-error-code"], second.text]).toEqual([200, "cancelled", first.text]);
});

test.each([
  ["COMPLETED", (gateway: Gateway) => gateway.complete("words", { kind: "text", text: "done", reasoning: null })],
  ["FAILED", (gateway: Gateway) => gateway.fail("words", { code: "model_error", message: "No words." })],
])("a request that is %s already stays so: 409 says what it is", async (status, finish) => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  await finish(gateway);
  const answer = await cancel(gateway, id);
  expect(answer.status).toBe(409);
  expect(answer.headers["x-error-code"]).toBe("already_finished");
  expect(answer.json()).toEqual({
    error: `Request ${id} has finished: it is ${status}.`,
    status,
    request_id: id,
  });
  expect(Object.keys(answer.json())).toEqual(["error", "status", "request_id"]);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).json()).toMatchObject({ status });
});

test("an outcome that comes between the look and the cancel counts: 409 tells it", async () => {
  const clock = new TestClock();
  const plain = memoryStore({ clock });
  let lease: Lease | undefined;
  const store: RequestStore = {
    ...plain,
    async finish(id, finish) {
      if (finish.type === "cancel") await settle(plain, lease!);
      return await plain.finish(id, finish);
    },
  };
  await using gateway = await startGateway({}, { store, clock });
  const id = await gateway.submit("words", {});
  lease = await gateway.lease("words");
  const answer = await cancel(gateway, id);
  expect([answer.status, answer.json()["status"]]).toEqual([409, "COMPLETED"]);
});

test("only its owner can cancel a request; for others there is none", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const other = await cancel(gateway, id, { "x-api-key": OTHER_KEY });
  expect([other.status, other.json()]).toEqual([404, { error: `Request ${id} not found` }]);
  for (const unknown of ["01890000-0000-7000-8000-000000000000", "nonsense"]) {
    expect((await cancel(gateway, unknown)).status).toBe(404);
  }
  expect((await send(gateway.port, "POST", `/v2/requests/${id}/cancel`, {})).status).toBe(401);
  expect((await gateway.call("GET", `/v2/requests/${id}/status`)).json()).toMatchObject({ status: "QUEUED" });
  // Another key of the same owner is its owner.
  expect((await cancel(gateway, id, { "x-api-key": ADMIN_KEY })).status).toBe(200);
});

test("an expired request cannot be cancelled", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  gateway.clock.advance(3_600_000);
  expect((await cancel(gateway, id)).status).toBe(404);
});

test.each([
  ["no body", {}, undefined],
  ["an empty form, as curl -d '' sends it", { "content-type": "application/x-www-form-urlencoded" }, ""],
  ["JSON that is none", { "content-type": "application/json" }, "{"],
  ["any bytes", { "content-type": "application/octet-stream" }, Buffer.from([0, 255])],
  ["a body without a type", {}, "anything"],
])("nothing need be sent along, and what is sent does not matter: %s", async (_, headers: object, body) => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const all = { "x-api-key": KEY, ...headers };
  expect((await send(gateway.port, "POST", `/v2/requests/${id}/cancel`, all, body)).status).toBe(200);
});

test.each([
  ["POST", "/cancel", /^HTTP\/1\.1 200 /],
  ["POST", "/retry", /^HTTP\/1\.1 409 /],
  ["DELETE", "", /^HTTP\/1\.1 204 /],
])("a body that never comes is not waited for: %s %s", async (method, path, expected) => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const socket = connect(gateway.port, "127.0.0.1");
  const head = `Host: x\r\nX-Api-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 99999999`;
  socket.write(`${method} /v2/requests/${id}${path} HTTP/1.1\r\n${head}\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(expected);
  socket.destroy();
});

test("GET cancels nothing: 405 names POST", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const answer = await gateway.call("GET", `/v2/requests/${id}/cancel`);
  expect([answer.status, answer.headers.allow]).toEqual([405, "POST"]);
  expect((await gateway.call("GET", `/v2/requests/${id}/status`)).json()).toMatchObject({ status: "QUEUED" });
});

test("a cancel that cannot be stored is 503, and the request goes on", async () => {
  const clock = new TestClock();
  const plain = memoryStore({ clock });
  const finish: RequestStore["finish"] = () => Promise.reject(new InferqError("store_unavailable"));
  await using gateway = await startGateway({}, { store: { ...plain, finish }, clock });
  const id = await gateway.submit("words", {});
  const answer = await cancel(gateway, id);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([503, "store_unavailable"]);
  expect((await gateway.call("GET", `/v2/requests/${id}/status`)).json()).toMatchObject({ status: "QUEUED" });
});

function settle(store: RequestStore, lease: Lease) {
  const result = { kind: "text", text: "done", reasoning: null } as const;
  return store.settle(lease.id, lease.token, { type: "complete", result, inferenceMs: 5, hasFiles: false });
}
