/** What is no proper request: always JSON, always the code of the table, in the order of the table's errors. */
import { connect } from "node:net";
import { once } from "node:events";
import { text as textOf } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Answer, type Gateway, KEY, send, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ bodyLimitBytes: 100_000 });
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

function code(answer: Answer): [number, unknown] {
  expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(typeof answer.json()["error"]).toBe("string");
  return [answer.status, answer.headers["x-error-code"]];
}

test("key, then model, then content type, then JSON, then schema", async () => {
  const xml = { "content-type": "text/xml" };
  expect(code(await send(gateway.port, "POST", "/v2/nothing", xml, "<x"))).toEqual([401, "missing_key"]);
  expect(code(await gateway.call("POST", "/v2/nothing", "<x", xml))).toEqual([404, "unknown_model"]);
  expect(code(await gateway.call("POST", "/v2/picture", "<x", xml))).toEqual([406, "wrong_content_type"]);
  expect(code(await gateway.call("POST", "/v2/picture", "{x"))).toEqual([400, "malformed_json"]);
  expect(code(await gateway.call("POST", "/v2/picture", {}))).toEqual([422, "invalid_input"]);
  expect(code(await gateway.call("POST", "/v1/picture", {}))).toEqual([400, "invalid_input"]);
});

test("a byte order mark before the JSON is no fault", async () => {
  expect((await gateway.call("POST", "/v2/picture", `\ufeff{"prompt":"x"}`)).status).toBe(200);
});

test("a body that is no JSON object", async () => {
  for (const body of ["", "{", "nul", '{"prompt":"x"}}', Buffer.from([0x7b, 0xff, 0x7d])]) {
    expect(code(await gateway.call("POST", "/v2/picture", body))).toEqual([400, "malformed_json"]);
  }
  const deep = `{"prompt":${"[".repeat(5_000)}${"]".repeat(5_000)}}`;
  expect(code(await gateway.call("POST", "/v2/picture", deep))).toEqual([400, "malformed_json"]);
  for (const body of ["[]", "null", '"text"', "1"]) {
    const answer = await gateway.call("POST", "/v2/picture", body);
    expect(code(answer)).toEqual([422, "invalid_input"]);
    expect(answer.text).toContain("must be a JSON object");
  }
});

test("no content type at all is 406 too", async () => {
  const answer = await send(gateway.port, "POST", "/v2/picture", { "x-api-key": KEY }, "{}");
  expect(code(answer)).toEqual([406, "wrong_content_type"]);
});

test("unknown paths, wrong methods and paths that cannot be decoded", async () => {
  expect(code(await gateway.call("GET", "/nothing"))).toEqual([404, "unknown_route"]);
  expect(code(await gateway.call("GET", "/v2/requests/x/y/z"))).toEqual([404, "unknown_route"]);
  expect(code(await gateway.call("POST", "/v2/requests", {}))).toEqual([405, "method_not_allowed"]);
  expect(code(await gateway.call("GET", "/v2/%zz/status"))).toEqual([400, "bad_request"]);
  const wrong = await gateway.call("DELETE", "/v2/models");
  expect(code(wrong)).toEqual([405, "method_not_allowed"]);
  expect(wrong.headers.allow).toBe("GET, HEAD");
  expect((await gateway.call("GET", "/v2/picture")).headers.allow).toBe("POST");
});

test("HEAD answers as GET does, without the body", async () => {
  const id = await gateway.submit("words", {});
  for (const path of ["/healthz", "/docs", "/openapi.json", `/v2/requests/${id}/status`, `/v2/requests/${id}`]) {
    const [get, head] = [await gateway.call("GET", path), await gateway.call("HEAD", path)];
    expect([path, head.status, head.text]).toEqual([path, 200, ""]);
    expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
  }
});

test("a body over the limit is 413, announced or not", async () => {
  const body = JSON.stringify({ prompt: "x".repeat(100_001) });
  expect(code(await gateway.call("POST", "/v2/picture", body))).toEqual([413, "body_too_large"]);
  const chunked = await gateway.call("POST", "/v2/picture", body, { "transfer-encoding": "chunked" });
  expect(code(chunked)).toEqual([413, "body_too_large"]);
});

test("a client that is still sending sees the refusal, and may go on on the same connection", async () => {
  const socket = connect(gateway.port, "127.0.0.1");
  const size = 2_000_000;
  socket.write(
    `POST /v2/picture HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${size}\r\n\r\n`,
  );
  const [first] = (await once(socket, "data")) as [Buffer];
  expect(first.toString()).toMatch(/^HTTP\/1\.1 401 /);
  socket.write(Buffer.alloc(size));
  socket.end("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(await textOf(socket)).toMatch(/HTTP\/1\.1 200 OK[^]*\{"status":"ok"\}$/);
});

test.each([
  ["a refusal", "POST", () => "/v2/picture", ""],
  ["an OPTIONS", "OPTIONS", () => "/v2/picture", ""],
  ["a cancel", "POST", (id: string) => `/v2/requests/${id}/cancel`, KEY],
  ["a retry", "POST", (id: string) => `/v2/requests/${id}/retry`, KEY],
  ["a delete", "DELETE", (id: string) => `/v2/requests/${id}`, KEY],
])("a client that sends and sends after the answer to %s is cut off", async (_, method, path, key) => {
  const id = await gateway.submit("words", {});
  const socket = connect(gateway.port, "127.0.0.1");
  socket.on("error", () => {}); // the reset that is expected
  socket.write(`${method} ${path(id)} HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  const piece = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(0x10_0000), Buffer.from("\r\n")]);
  let sent = 0;
  const more = (): void => {
    while (!socket.destroyed && sent < 200 && socket.write(piece)) sent += 1;
    sent += 1;
  };
  socket.on("drain", more);
  more();
  await closed;
  expect(sent).toBeLessThan(200);
});

test("bytes that are no HTTP get JSON too", async () => {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.end("nonsense\r\n\r\n");
  expect(await textOf(socket)).toMatch(
    /^HTTP\/1\.1 400 [^]*X-Error-Code: bad_request[^]*\{"error":"The request is not/,
  );
});

test("a model whose setup failed refuses with the reason, and nothing is queued", async () => {
  gateway.states.set("words", { type: "failed", reason: "the weights are not there." });
  const answer = await gateway.call("POST", "/v2/words", {});
  expect(code(answer)).toEqual([503, "model_unavailable"]);
  expect(answer.json()["error"]).toBe("Model words cannot run here: the weights are not there.");
  expect(answer.headers["retry-after"]).toBe("1");
  gateway.states.clear();
});

test("a store that cannot write is 503, and the files of the request are gone again", async () => {
  const store = gateway.store;
  const broken = await startGateway(
    {},
    {
      store: { ...store, enqueue: () => Promise.reject(new Error("disk full")), [Symbol.asyncDispose]: async () => {} },
    },
  );
  const answer = await broken.call("POST", "/v2/picture", { prompt: "x".repeat(70_000) });
  expect(code(answer)).toEqual([500, "internal"]);
  expect(answer.text).not.toContain("disk full");
  expect(broken.logs.join("")).toContain("disk full");
  for await (const id of broken.blobs.list("")) expect.fail(`files of ${id} are left`);
  await broken[Symbol.asyncDispose]();
});
