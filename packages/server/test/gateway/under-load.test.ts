/** When the server holds as much as it can, or stops, a client is told so at once and may come again. */
import { connect } from "node:net";
import { once } from "node:events";
import { text as textOf } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { type Answer, KEY, startGateway } from "./harness.ts";

test("large bodies that are on their way into the queue are bounded together, and small ones are still taken", async () => {
  await using gateway = await startGateway({ bodyLimitBytes: 100_000 });
  const large = JSON.stringify({ text: "x".repeat(99_000) });
  const { enqueue } = gateway.store;
  const disk = Promise.withResolvers<void>();
  const waiting: Promise<Answer>[] = [];
  for (let index = 0; index < 8; index += 1) {
    const isStored = new Promise<void>((resolve) => {
      vi.spyOn(gateway.store, "enqueue").mockImplementationOnce(async (submission) => {
        resolve();
        await disk.promise; // it is slow today
        return await enqueue(submission);
      });
    });
    waiting.push(gateway.call("POST", "/v2/words", large));
    await isStored;
  }
  const refused = await gateway.call("POST", "/v2/words", large);
  expect([refused.status, refused.headers["x-error-code"], refused.headers["retry-after"]]).toEqual([
    503,
    "server_busy",
    "1",
  ]);
  const chunked = await gateway.call("POST", "/upload-asset", large, { "transfer-encoding": "chunked" });
  expect(chunked.headers["x-error-code"]).toBe("server_busy");
  expect((await gateway.call("POST", "/v2/film", {})).status).toBe(200);

  disk.resolve();
  await Promise.all(waiting);
  expect((await gateway.call("POST", "/v2/words", large)).status).toBe(200);
});

test.each(["/v1/words", "/v2/words?wait=30"])("whoever waits at %s takes no room with its body", async (path) => {
  await using gateway = await startGateway({ bodyLimitBytes: 100_000 });
  const large = JSON.stringify({ text: "x".repeat(99_000) });
  const waiting: Promise<Answer>[] = [];
  for (let index = 0; index < 10; index += 1) {
    const queued = new Promise<void>((resolve) => {
      gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
    });
    waiting.push(gateway.call("POST", path, large));
    await queued;
  }
  expect((await gateway.call("POST", "/v2/words", large)).status).toBe(200);
  for (const _ of waiting) await gateway.complete("words", { kind: "text", text: "done", reasoning: null });
  for (const answer of waiting) expect((await answer).json()).toMatchObject({ output: "done" });
});

test("a submit that comes while the server stops is told to try again", async () => {
  await using gateway = await startGateway();
  const queued = new Promise<void>((resolve) => {
    gateway.store.onWake?.((wake) => wake.type === "queued" && resolve());
  });
  const waiting = gateway.call("POST", "/v1/words", {});
  await queued;
  // In one write, so that the submit has begun when the first answer is here.
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /v2/words HTTP/1.1\r\nHost: x\r\n");
  await once(socket, "data");
  const closed = gateway.close();
  await waiting; // those who wait are answered when the stop begins

  socket.write(`x-api-key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
  const answer = await textOf(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 503 [^]*\{"error":"The server is shutting down\. Try again in a moment\."\}$/);
  expect(answer).toMatch(/^x-error-code: shutting_down\r$/m);
  expect(answer).toMatch(/^retry-after: 1\r$/m);
  await closed;
});
