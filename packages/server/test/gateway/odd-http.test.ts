/** What clients hardly ever send, and attackers do: it is answered as JSON from the table too, and costs little. */
import { connect } from "node:net";
import { once } from "node:events";
import { text as textOf } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, KEY, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

/** What the server answers to these bytes until it closes the connection. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write(bytes);
  return await textOf(socket);
}

test("HTTP/1.1 without a Host is refused as all else is, and HTTP/1.0 needs none", async () => {
  expect(await exchange("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")).toMatch(
    /^HTTP\/1\.1 400 [^]*x-error-code: bad_host[^]*\{"error":"The Host header/,
  );
  expect(await exchange("GET /healthz HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 [^]*\{"status":"ok"\}$/);
});

test("an expectation that is not known is ignored, and this is no proxy", async () => {
  const head = "Host: x\r\nConnection: close\r\nExpect: something\r\n\r\n";
  expect(await exchange(`GET /healthz HTTP/1.1\r\n${head}`)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await exchange("CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(
    /^HTTP\/1\.1 400 [^]*X-Error-Code: bad_request/,
  );
});

test.each([
  ["POST /nothing", /^HTTP\/1\.1 404 [^]*x-error-code: unknown_route/],
  ["PUT /v2/models", /^HTTP\/1\.1 405 [^]*x-error-code: method_not_allowed/],
  ["OPTIONS /v2/picture", /^HTTP\/1\.1 204 /],
])("%s is answered without its body: nobody's key was checked", async (line, answer) => {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n{`);
  const [first] = (await once(socket, "data")) as [Buffer];
  expect(first.toString()).toMatch(answer);
  socket.destroy();
});

test("a compressed body is refused by what it is", async () => {
  for (const path of ["/v2/picture", "/v1/picture", "/upload-asset"]) {
    const { status, headers } = await gateway.call("POST", path, "{}", { "content-encoding": "gzip" });
    expect([status, headers["x-error-code"]]).toEqual([415, "wrong_content_encoding"]);
    expect(headers["accept-encoding"]).toBe("identity");
  }
  const identity = { "content-encoding": "identity" };
  expect((await gateway.call("POST", "/v2/picture", { prompt: "x" }, identity)).status).toBe(200);
});

test("a path with a name that is too long is not repeated", async () => {
  const answer = await gateway.call("GET", `/v2/requests/${"x".repeat(9_000)}`);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
  expect(answer.json()).toEqual({ error: "A part of the path is longer than any name there is here." });
});

const auth = `Host: x\r\nx-api-key: ${KEY}\r\n`;
const statuses = (text: string): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!);

test("a wish for another protocol is the last call on its connection: what came in one packet with it is lost", async () => {
  const wish = `GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;
  const answer = await exchange(wish + `GET /v2/models HTTP/1.1\r\n${auth}\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*connection: close/i);
  expect(statuses(answer)).toEqual(["200"]);
});

test("what is no HTTP is answered behind what came before it, not in its place", async () => {
  const submit = `POST /v1/words HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const answering = exchange(`${submit}no HTTP\r\n\r\n`);
  await queued;
  await gateway.complete("words", { kind: "text", text: "Hello.", reasoning: null });
  const answer = await answering;
  expect(statuses(answer)).toEqual(["200", "400"]);
  expect(answer).toMatch(/"output":"Hello\."[^]*X-Error-Code: bad_request[^]*Cache-Control: no-store/);
});

test("a body that breaks off is answered, and its connection ends", async () => {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.end(
    `POST /v2/words HTTP/1.1\r\n${auth}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{`,
  );
  expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 400 [^]*X-Error-Code: bad_request/);
});
