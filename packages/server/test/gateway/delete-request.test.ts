/** A caller deletes a request: its record and its files are gone at once, whatever it was doing. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { get as httpGet, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { submissionMaker } from "../../src/testing/index.ts";
import { modelOf, openWorker } from "../worker/open.ts";
import { type Gateway, OTHER_KEY, startGateway, TestClock } from "./harness.ts";

async function remove(gateway: Gateway, id: string): Promise<number> {
  return (await gateway.call("DELETE", `/v2/requests/${id}`)).status;
}

/** The ids that have files. */
async function ids({ blobs }: Pick<Gateway, "blobs">): Promise<string[]> {
  const found: string[] = [];
  for await (const id of blobs.list("")) found.push(id);
  return found;
}

async function pictureOf(gateway: Gateway, bytes: Buffer): Promise<{ id: string; file: string }> {
  const id = await gateway.submit("picture", { prompt: "a rose" });
  const file = await gateway.artifact(id, "rose.png", "image/png", bytes);
  await gateway.complete("picture", { kind: "image", files: [file] });
  return { id, file: `/files/${file.key}` };
}

test("afterwards it is nowhere: no status, no result, no timeline, no file, no place in the list", async () => {
  await using gateway = await startGateway();
  const { id, file } = await pictureOf(gateway, Buffer.from("a picture"));
  expect((await gateway.call("GET", file)).status).toBe(200);
  const answer = await gateway.call("DELETE", `/v2/requests/${id}`);
  expect([answer.status, answer.text]).toEqual([204, ""]);
  const paths = [
    `/v2/requests/${id}/status`,
    `/v2/requests/${id}`,
    `/v1/requests/${id}`,
    `/v2/requests/${id}/timeline`,
  ];
  for (const path of paths) {
    const { status, headers, text } = await gateway.call("GET", path);
    expect([status, headers["x-error-code"], text]).toEqual([404, "unknown", `{"error":"Request ${id} not found"}`]);
  }
  expect((await gateway.call("GET", file)).headers["x-error-code"]).toBe("unknown_file");
  expect((await gateway.call("GET", "/v2/requests")).json()).toEqual({ requests: [], next_cursor: null });
  expect(await ids(gateway)).toEqual([]);
  expect(await remove(gateway, id)).toBe(404);
});

test("nobody deletes what is another owner's, and the method is known to OPTIONS", async () => {
  await using gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const path = `/v2/requests/${id}`;
  expect((await gateway.call("DELETE", path, undefined, { "x-api-key": OTHER_KEY })).status).toBe(404);
  expect((await gateway.call("DELETE", path, undefined, { "x-api-key": "" })).status).toBe(401);
  expect((await gateway.call("GET", path)).status).toBe(200);
  expect((await gateway.call("OPTIONS", path)).headers["allow"]).toBe("DELETE, GET, HEAD, OPTIONS");
  expect((await gateway.call("PUT", path, {})).headers["allow"]).toBe("DELETE, GET, HEAD");
});

test("a body, or the type of one, makes no difference", async () => {
  await using gateway = await startGateway();
  for (const [body, type] of [
    [undefined, "application/json"],
    ["{}", "application/json"],
    ["not JSON", "application/json"],
    ["x", "a/b/c"],
  ] as const) {
    const id = await gateway.submit("words", {});
    const headers = { "content-type": type, ...(body !== undefined && { "content-length": String(body.length) }) };
    const answer = await gateway.call("DELETE", `/v2/requests/${id}`, body, headers);
    expect(answer.status).toBe(204);
  }
});

test("one that waits is never leased, and one that runs loses its lease at once", async () => {
  await using gateway = await startGateway();
  const waiting = await gateway.submit("words", {});
  expect(await remove(gateway, waiting)).toBe(204);
  await expect(gateway.lease("words")).rejects.toThrow("no request for words waits");

  const running = await gateway.submit("words", {});
  const { token } = await gateway.lease("words");
  expect(await remove(gateway, running)).toBe(204);
  expect(await gateway.store.heartbeat([{ id: running, token }], 30_000)).toEqual([token]);
  expect(gateway.store.stats().models.get("words")).toBeUndefined();
});

test("what a run still writes while its request is deleted is deleted too", async () => {
  const running = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  const slow = modelOf(
    async (_, { file }) => {
      running.resolve();
      await late.promise;
      await writeFile(file("late.png").path, "picture");
      return file("late.png");
    },
    { output: "image" },
  );
  await using opened = await openWorker(slow);
  const { store, blobs, clock, logged } = opened;
  await using gateway = await startGateway({}, { store, blobs, clock });
  const id = await opened.submit({}, { owner: "one" });
  await running.promise;
  expect(await remove(gateway, id)).toBe(204);
  late.resolve();
  await opened.worker.stop();
  expect(await ids({ blobs })).toEqual([]);
  expect(logged.filter(({ message }) => message === "cleaning up failed")).toEqual([]);
});

test("two deletes at once: it is gone for both", async () => {
  await using gateway = await startGateway();
  const { id } = await pictureOf(gateway, Buffer.from("a picture"));
  expect(await Promise.all([remove(gateway, id), remove(gateway, id)])).toEqual([204, 204]);
  expect(await ids(gateway)).toEqual([]);
  expect(gateway.logs.filter((line) => line.includes("request deleted"))).toHaveLength(1);
});

test("who is reading its file when it is deleted reads it to the end", async () => {
  await using gateway = await startGateway();
  const bytes = randomBytes(16 * 1024 * 1024); // far more than sockets hold
  const { id, file } = await pictureOf(gateway, bytes);
  const [response] = (await once(httpGet(gateway.base + file, { agent: false }), "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  expect(await remove(gateway, id)).toBe(204);
  expect((await gateway.call("GET", file)).status).toBe(404);
  expect((await buffer(response)).equals(bytes)).toBe(true);
});

test("its idempotency key is free again", async () => {
  await using gateway = await startGateway();
  const submission = submissionMaker(gateway.clock);
  const keyed = { owner: "one", idempotencyKey: "order 7", idempotencyDigest: "d" };
  const first = submission(keyed);
  await gateway.store.enqueue(first);
  expect(await gateway.store.enqueue(submission(keyed))).toMatchObject({ ok: false });
  expect(await remove(gateway, first.id)).toBe(204);
  expect(await gateway.store.enqueue(submission(keyed))).toEqual({ ok: true });
});

test("cut short by a store that fails, it is told so, and a second delete finishes it", async () => {
  const clock = new TestClock();
  const whole = memoryStore({ clock });
  let failures: string[] = ["cancel", "delete"];
  const store: RequestStore = {
    ...whole,
    async finish(id, finish) {
      if (finish.type !== failures[0]) return await whole.finish(id, finish);
      failures = failures.slice(1);
      throw new InferqError("store_unavailable");
    },
  };
  await using gateway = await startGateway({}, { store, clock });
  const id = await gateway.submit("words", {});
  await gateway.artifact(id, "part.png", "image/png", Buffer.from("half"));
  expect(await remove(gateway, id)).toBe(503);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).json()).toMatchObject({ status: "QUEUED" });
  expect(await remove(gateway, id)).toBe(503);
  expect((await gateway.call("GET", `/v2/requests/${id}`)).json()).toMatchObject({ status: "FAILED" });
  expect(await ids(gateway)).toEqual([]);
  expect(await remove(gateway, id)).toBe(204);
  expect(await remove(gateway, id)).toBe(404);
});
