/** The way of a webhook to a receiver that answers. */
import { expect, test } from "vitest";
import { webhookBody } from "../../src/wire/webhook.ts";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

test("an outcome is posted at once, with the facts as its body and the request's id as its own", async () => {
  await using there = await receiver();
  await using t = openSender();
  const id = await t.outcome(`${there.url}/hook/a?key=b%20c`);
  const delivery = await t.until(id, ({ state }) => state === "delivered");

  expect(delivery).toMatchObject({ tries: 1, dueAt: null, attempts: [{ status: 204, error: null }] });
  expect(there.hits).toHaveLength(1);
  const { method, path, headers, body } = there.hits[0]!;
  expect([method, path, body]).toEqual(["POST", "/hook/a?key=b%20c", webhookBody(delivery)]);
  expect(JSON.parse(body)).toMatchObject({ type: "request.completed", data: { request_id: id, output: "a poem" } });
  expect(headers).toEqual({
    host: there.host,
    connection: "keep-alive",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "user-agent": "inferq",
    "webhook-id": id,
    "webhook-timestamp": expect.stringMatching(/^\d+$/),
    "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  });
});

test("the time that is signed is this machine's, though it slept since the server began to count: receivers compare it with theirs", async () => {
  await using there = await receiver();
  await using t = openSender();
  const before = Math.floor(Date.now() / 1000);
  await t.until(await t.outcome(there.url), ({ state }) => state === "delivered");
  const signed = Number(there.hits[0]!.headers["webhook-timestamp"]);
  expect(signed).toBeGreaterThanOrEqual(before);
  expect(signed).toBeLessThanOrEqual(Date.now() / 1000);
});

test("what came to its outcome before the start is sent with the start", async () => {
  await using there = await receiver();
  await using t = openSender({ started: false });
  const ids = [await t.outcome(there.url), await t.outcome(there.url)];
  t.sender.start();
  for (const id of ids) await t.until(id, ({ state }) => state === "delivered");
  expect(there.hits.map(({ id }) => id).sort()).toEqual(ids);
});

test("many at once reach their receiver once each, at most 64 at a time, over connections that are kept", async () => {
  await using there = await receiver((response) => setImmediate(() => response.writeHead(200).end("thanks")));
  await using t = openSender();
  const ids: string[] = [];
  for (let i = 0; i < 300; i++) ids.push(await t.outcome(there.url));
  for (const id of ids) await t.until(id, ({ state }) => state === "delivered");
  expect(there.hits.map(({ id }) => id).sort()).toEqual(ids);
  expect(there.peak()).toBeLessThanOrEqual(64);
  expect(there.connections()).toBeLessThanOrEqual(64);
});

test("a delivery that is asked for again is sent again, with the same id", async () => {
  await using there = await receiver();
  await using t = openSender();
  const id = await t.outcome(there.url);
  await t.until(id, ({ state }) => state === "delivered");
  await t.deliveries.redeliver(id);
  await t.until(id, ({ tries, state }) => tries === 2 && state === "delivered");
  expect(there.hits.map((hit) => hit.id)).toEqual([id, id]);
  expect(there.hits[1]!.body).toBe(there.hits[0]!.body);
});

test("one that is asked for again while it is on its way is sent again after it", async () => {
  const answers: (() => void)[] = [];
  await using there = await receiver((response) => answers.push(() => response.writeHead(500).end()));
  await using t = openSender();
  const id = await t.outcome(there.url);
  await there.came(1);
  t.clock.advance(1);
  await t.deliveries.redeliver(id);
  answers[0]!();
  await there.came(2);
  answers[1]!();
  expect(await t.until(id, ({ tries }) => tries === 2)).toMatchObject({ state: "pending", askedAt: t.clock.now() });
});
