/** A client that reads slowly, or not at all, holds up nobody and fills no memory: what it missed it reads from the log, as far as that goes. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Lease } from "../../src/store/store.ts";
import { follow, run } from "./event-client.ts";
import { type Gateway, KEY, startGateway } from "./harness.ts";

/** Of such lines the log holds one, and a connection that nobody reads from some dozens. */
const LINE = "x".repeat(200_000);
const LINES = 150;

let gateway: Gateway;
let sockets: Socket[];
beforeEach(async () => {
  gateway = await startGateway();
  sockets = [];
});
afterEach(async () => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  await gateway[Symbol.asyncDispose]();
});

/** A client that asks, and reads nothing more than the head until it is let. */
async function asks(path: string, more = ""): Promise<Socket> {
  const socket = connect(gateway.port, "127.0.0.1");
  sockets.push(socket);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n${more}`);
  await once(socket, "readable");
  return socket;
}

/** The run tells more than all buffers between server and client hold. */
async function tellMuch(lease: Lease): Promise<void> {
  for (let line = 1; line <= LINES; line++) {
    await run(gateway.events, lease).log(`${line} ${LINE}`);
    for (let turn = 0; turn < 3; turn++) await nextTurn();
  }
}

async function complete({ id, token }: Lease): Promise<void> {
  const result = { kind: "text", text: "done", reasoning: null } as const;
  await gateway.store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
}

test("what it missed it reads from the log when it reads again, and the outcome last", async () => {
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}/events`;
  const slow = await asks(path);
  using quick = await follow(gateway.port, path, { "x-api-key": KEY });
  const seen = quick.rest();
  const lease = await gateway.lease("words");
  await tellMuch(lease);
  await run(gateway.events, lease).output("done");
  await complete(lease);
  const lines = (await seen).filter(({ event }) => event === "log");
  expect(lines.at(-1)!.data["message"]).toMatch(/^150 /);

  slow.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const all = await textOf(slow);
  expect(all.length).toBeLessThan(0.8 * LINES * LINE.length);
  const numbers = [...all.matchAll(/"message":"(\d+) /g)].map(([, number]) => Number(number));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers.at(-1)).toBe(LINES);
  expect(all.indexOf('"text":"done"')).toBeGreaterThan(all.lastIndexOf('"message":'));
  expect(all.indexOf('"status":"COMPLETED"')).toBeGreaterThan(all.indexOf('"text":"done"'));
  expect(all).toMatch(/\r\n0\r\n\r\nHTTP\/1\.1 200 [^]*"ok"[^]*$/); // the connection serves on
});

test("one that reads nothing for a minute is cut off; the request runs on", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}/events`;
  const stuck = await asks(path);
  const lease = await gateway.lease("words");
  await tellMuch(lease);
  gateway.clock.advance(59_000);
  await vi.advanceTimersByTimeAsync(1_000);
  using quick = await follow(gateway.port, path, { "x-api-key": KEY });
  await quick.next();
  gateway.clock.advance(2_000);
  await vi.advanceTimersByTimeAsync(1_000);
  const ended = once(stuck.resume(), "close");
  await ended;
  await complete(lease);
  expect((await quick.rest()).at(-1)!.data["status"]).toBe("COMPLETED");
});

test("a stream that is pipelined behind another call tells the state of then, and ends", async () => {
  const id = await gateway.submit("words", {});
  const get = (path: string, more = ""): string =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n${more}\r\n`;
  const behind = get(`/v2/requests/${id}/events`) + get("/healthz", "Connection: close\r\n");
  const socket = connect(gateway.port, "127.0.0.1");
  sockets.push(socket);
  socket.write(get(`/v2/requests/${id}/status?wait=600`) + behind);
  while (!(await gateway.call("GET", "/healthz")).text.includes("ok"));
  await gateway.lease("words");
  await gateway.store.finish(id, { type: "cancel", failure: { code: "cancelled", message: "Enough." } });
  const all = await textOf(socket);
  expect(all.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 422", "HTTP/1.1 200", "HTTP/1.1 200"]);
  expect(all).toMatch(/event: status\n[^]*"ok"/);
});

test("a client of HTTP/1.0 is told until its connection ends", async () => {
  const id = await gateway.submit("words", {});
  const socket = connect(gateway.port, "127.0.0.1");
  sockets.push(socket);
  socket.write(`GET /v2/requests/${id}/events HTTP/1.0\r\nx-api-key: ${KEY}\r\nHost: x\r\n\r\n`);
  const all = textOf(socket);
  await gateway.store.finish(id, { type: "cancel", failure: { code: "cancelled", message: "Enough." } });
  const [head, body] = (await all).split("\r\n\r\n");
  expect(head).not.toMatch(/transfer-encoding/i);
  expect(body).toMatch(/^retry: \d+\n\nevent: status\n[^]*"FAILED"[^]*\n\n$/);
});

test("a server that stops ends its streams at once, those of clients that do not read too", async () => {
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}/events`;
  const [reads, other] = [await asks(path), await asks(path)];
  const lease = await gateway.lease("words");
  const closing = gateway.close();
  expect(await textOf(reads)).toMatch(/\r\n0\r\n\r\n$/);
  other.destroy();
  await closing;
  expect(await gateway.store.heartbeat([lease], 1_000)).toEqual([]); // its run was not disturbed
});
