import { once } from "node:events";
import type { Readable } from "node:stream";
import { expect, it } from "vitest";
import { guardedFetch } from "../../src/net/guard.ts";
import { originThat } from "./origin.ts";

const never = new AbortController().signal;
const fetch = guardedFetch({ allowPrivate: true, timeoutMs: 10_000 });
const patient = guardedFetch({ allowPrivate: true, timeoutMs: 600_000 });
const hasty = guardedFetch({ allowPrivate: true, timeoutMs: 100 });

it("a body whose announced length is over the limit is not read", async () => {
  await using origin = await originThat((_request, response) => {
    response.writeHead(200, { "content-length": "1001" });
    response.flushHeaders();
  });
  await expect(fetch(origin.url, { limitBytes: 1_000, signal: never })).rejects.toMatchObject({ kind: "too_large" });
});

it("a body that never ends is broken off at the limit, and its connection closed", async () => {
  const closed = Promise.withResolvers<void>();
  await using origin = await originThat((_request, response) => {
    const write = (): void => {
      while (response.write(Buffer.alloc(16_384)));
    };
    response.on("drain", write).on("close", closed.resolve);
    write();
  });
  const fetched = await fetch(origin.url, { limitBytes: 1_000_000, signal: never });
  await expect(drain(fetched)).rejects.toMatchObject({ kind: "too_large", message: "it is larger than 1000000 bytes" });
  await closed.promise;
});

it("a body of exactly the limit is read whole", async () => {
  await using origin = await originThat((_request, response) => response.end(Buffer.alloc(1_000)));
  expect(await drain(await fetch(origin.url, { limitBytes: 1_000, signal: never }))).toBe(1_000);
});

it("a host that takes the request and never answers is given up after the time limit", async () => {
  await using origin = await originThat(() => undefined);
  await expect(hasty(origin.url, { limitBytes: 1_000, signal: never })).rejects.toMatchObject({
    kind: "unreachable",
    message: "it took longer than 0.1 s",
  });
});

it("a body that stops on its way is given up after the time limit", async () => {
  await using origin = await originThat((_request, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("a beginning");
  });
  const fetched = await hasty(origin.url, { limitBytes: 1_000, signal: never });
  await expect(drain(fetched)).rejects.toMatchObject({ kind: "unreachable", message: "it took longer than 0.1 s" });
});

it("a body cut short is an error, not a shorter file", async () => {
  await using origin = await originThat((_request, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("a beginning", () => response.destroy());
  });
  const fetched = await fetch(origin.url, { limitBytes: 1_000, signal: never });
  await expect(drain(fetched)).rejects.toMatchObject({ kind: "unreachable" });
});

it("an abort ends it with the abort's own reason, before the answer and within it", async () => {
  await using silent = await originThat(() => undefined);
  const early = new AbortController();
  const waiting = fetch(silent.url, { limitBytes: 1_000, signal: early.signal });
  early.abort(new Error("lease lost"));
  await expect(waiting).rejects.toThrow("lease lost");

  await using slow = await originThat((_request, response) => void response.write("a beginning"));
  const late = new AbortController();
  const body = await fetch(slow.url, { limitBytes: 1_000, signal: late.signal });
  await once(body, "readable");
  late.abort(new Error("cancelled"));
  await expect(body.toArray()).rejects.toThrow("cancelled");
});

it("a body that is dropped unread closes its connection", async () => {
  const closed = Promise.withResolvers<void>();
  await using origin = await originThat((_request, response) => {
    response.on("close", closed.resolve).write("a beginning");
  });
  const body = await patient(origin.url, { limitBytes: 1_000, signal: never });
  body.destroy();
  await closed.promise;
});

it("anything but 200 is told with its number", async () => {
  await using origin = await originThat((_request, response) => response.writeHead(404).end("<html>not here</html>"));
  await expect(fetch(origin.url, { limitBytes: 1_000, signal: never })).rejects.toMatchObject({
    kind: "unreachable",
    message: `127.0.0.1:${origin.port} answered 404`,
  });
});

it("a compressed answer is refused, since it is not the file", async () => {
  await using origin = await originThat((_request, response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(Buffer.alloc(10)),
  );
  await expect(fetch(origin.url, { limitBytes: 1_000, signal: never })).rejects.toThrow("sent it compressed (gzip)");
});

it("a port where nobody listens is told as refused", async () => {
  const origin = await originThat(() => undefined);
  await origin[Symbol.asyncDispose]();
  await expect(fetch(origin.url, { limitBytes: 1_000, signal: never })).rejects.toThrow("refused the connection");
});

async function drain(body: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.length;
  return bytes;
}
