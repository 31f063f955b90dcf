/** Of an answer its status counts; its body is bounded, in bytes and in time. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

test("a receiver that answers a gigabyte has its webhook, and is cut off", async () => {
  const cut = Promise.withResolvers<number>();
  let sent = 0;
  await using there = await receiver((response) => {
    const write = (): void => {
      while (sent < 1024 ** 3 && response.write(Buffer.alloc(65_536))) sent += 65_536;
    };
    response.on("close", () => cut.resolve(sent)).on("drain", write);
    write();
  });
  await using t = openSender();
  const id = await t.outcome(there.url);
  await t.until(id, ({ state }) => state === "delivered");
  expect(await cut.promise).toBeLessThan(64 * 1024 ** 2); // what the system's buffers took
});

test("an answer that never ends counts by its status, and is cut off", async () => {
  await using there = await receiver((response, { path }) => {
    response.writeHead(path === "/well" ? 200 : 400).write("and then");
  });
  await using t = openSender();
  const [well, ill] = [await t.outcome(`${there.url}/well`), await t.outcome(`${there.url}/ill`)];
  expect(await t.until(well, ({ tries }) => tries === 1)).toMatchObject({ state: "delivered" });
  expect(await t.until(ill, ({ tries }) => tries === 1)).toMatchObject({ attempts: [{ status: 400 }] });
});

test("103 before the answer is no answer", async () => {
  await using there = await receiver((response) => {
    response.writeEarlyHints({ link: "</a>; rel=preload" }, () => response.writeHead(202).end());
  });
  await using t = openSender();
  const id = await t.outcome(there.url);
  expect(await t.until(id, ({ tries }) => tries === 1)).toMatchObject({
    state: "delivered",
    attempts: [{ status: 202 }],
  });
});

test("a cookie that is set is not sent back", async () => {
  await using there = await receiver((response) => response.writeHead(200, { "set-cookie": "a=b" }).end());
  await using t = openSender();
  for (let i = 0; i < 2; i++) await t.until(await t.outcome(there.url), ({ state }) => state === "delivered");
  expect(there.hits.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined]);
});

test("a connection is kept for a few seconds, however long the receiver offers: it is a descriptor of this server's", async () => {
  const there = createServer((socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 204 No Content\r\nkeep-alive: timeout=600\r\n\r\n"));
  });
  await once(there.listen(0, "127.0.0.1"), "listening");
  const connected = once(there, "connection") as Promise<[Socket]>;
  await using t = openSender();
  const id = await t.outcome(`http://127.0.0.1:${(there.address() as AddressInfo).port}`);
  const [socket] = await connected;
  await t.until(id, ({ state }) => state === "delivered");
  await once(socket, "close");
  await once(there.close(), "close");
});
