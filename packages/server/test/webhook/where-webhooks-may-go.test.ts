/** The server sends to addresses that strangers name: never to its own network unless that is allowed. */
import { expect, test } from "vitest";
import type { Lookup } from "../../src/net/lookup.ts";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

const TO_ALLOW = "If it is to be allowed, start the server with INFERQ_ALLOW_PRIVATE=webhook.";

function resolving(...addresses: string[]): Lookup {
  let asked = 0;
  return (_host, callback) =>
    callback(null, [{ address: addresses[Math.min(asked++, addresses.length - 1)]!, family: 4 }]);
}

test("a private address is refused before anything is sent, with what would allow it, and tried again in case it is", async () => {
  await using there = await receiver();
  await using t = openSender({ allowPrivate: false });
  const id = await t.outcome(there.url);
  expect(await t.until(id, ({ tries }) => tries === 1)).toMatchObject({
    state: "pending",
    attempts: [{ error: `Nothing may be sent to ${there.host}: 127.0.0.1 is a loopback address. ${TO_ALLOW}` }],
  });
  expect(there.connections()).toBe(0);
});

test("a name that resolves to one is refused likewise", async () => {
  await using there = await receiver();
  await using t = openSender({ allowPrivate: false, lookup: resolving("127.0.0.1") });
  const host = `innocent.example:${new URL(there.url).port}`;
  const id = await t.outcome(`http://${host}/`);
  const why = "it resolves to 127.0.0.1, which is a loopback address";
  expect(await t.until(id, ({ tries }) => tries === 1)).toMatchObject({
    attempts: [{ error: `Nothing may be sent to ${host}: ${why}. ${TO_ALLOW}` }],
  });
  expect(there.connections()).toBe(0);
});

test("a name that resolves to another address after it was judged is refused at the socket", async () => {
  await using there = await receiver();
  let reads = 0;
  const shifty = {
    family: 4,
    get address() {
      return ++reads === 1 ? "192.0.2.1" : "127.0.0.1";
    },
  };
  await using t = openSender({ allowPrivate: ["192.0.2.1"], lookup: (_host, callback) => callback(null, [shifty]) });
  const id = await t.outcome(`http://shifty.example:${new URL(there.url).port}/`);
  const { attempts } = await t.until(id, ({ tries }) => tries === 1);
  expect(attempts[0]!.error).toContain("it resolves to 127.0.0.1, which is a loopback address");
  expect(there.hits).toEqual([]);
});

test("a name that leads elsewhere by its next connection is judged again: what is kept is the connection, not the name", async () => {
  // Every answer closes its connection, so that the next webhook needs a new one.
  await using there = await receiver((response) => response.writeHead(200, { connection: "close" }).end());
  await using t = openSender({ allowPrivate: ["127.0.0.1"], lookup: resolving("127.0.0.1", "10.0.0.1") });
  const url = `http://rebinding.example:${new URL(there.url).port}/`;
  const first = await t.outcome(url);
  await t.until(first, ({ state }) => state === "delivered");
  const second = await t.outcome(url);
  const { attempts } = await t.until(second, ({ tries }) => tries === 1);
  expect(attempts[0]!.error).toContain("it resolves to 10.0.0.1, which is a private address");
});

test("a proxy in the environment is not used", async () => {
  await using there = await receiver();
  const before = process.env["http_proxy"];
  process.env["http_proxy"] = "http://127.0.0.1:1";
  try {
    await using t = openSender();
    await t.until(await t.outcome(there.url), ({ state }) => state === "delivered");
  } finally {
    if (before === undefined) delete process.env["http_proxy"];
    else process.env["http_proxy"] = before;
  }
});
