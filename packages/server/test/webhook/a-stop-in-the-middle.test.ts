/** A stop, a store that takes no writes: at least once, and no try that was not one. */
import { afterEach, expect, test, vi } from "vitest";
import { openSender } from "./open.ts";
import { receiver } from "./receiver.ts";

afterEach(() => void vi.useRealTimers());

test("a stop begins nothing more, and lets what is on its way arrive and be written down", async () => {
  const answers: (() => void)[] = [];
  await using there = await receiver((response) => answers.push(() => response.writeHead(200).end()));
  await using t = openSender();
  const underWay = await t.outcome(there.url);
  await there.came(1);
  const stopped = t.sender.stop();
  const later = await t.outcome(there.url);
  answers[0]!();
  await stopped;
  expect(await t.deliveries.get(underWay)).toMatchObject({ state: "delivered" });
  expect(await t.deliveries.get(later)).toMatchObject({ state: "pending", tries: 0 });
  await t.sender.poll();
  expect(there.hits).toHaveLength(1);
});

test("what has not ended within the stop's seconds is cut off, counts as no try, and is sent again after the start", async () => {
  await using there = await receiver((response, _hit, count) => {
    if (count > 1) response.writeHead(200).end();
  });
  await using t = openSender();
  const id = await t.outcome(there.url);
  await there.came(1);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const stopped = t.sender.stop();
  await vi.advanceTimersByTimeAsync(3_000);
  await stopped;
  vi.useRealTimers();
  expect(await t.deliveries.get(id)).toMatchObject({ state: "pending", tries: 0, attempts: [] });

  t.another().start();
  await t.until(id, ({ state }) => state === "delivered");
  expect(there.hits.map((hit) => hit.id)).toEqual([id, id]);
});

test("what waited while no server ran is tried once at least, however long that was", async () => {
  await using there = await receiver((response) => response.writeHead(500).end());
  await using t = openSender({ started: false });
  const id = await t.outcome(there.url);
  t.clock.advance(25 * 3_600_000);
  t.sender.start();
  await t.sender.tidy();
  expect(await t.until(id, ({ state }) => state !== "pending")).toMatchObject({ state: "failed", tries: 1 });
});

test("what cannot be written down is not sent again meanwhile", async () => {
  await using there = await receiver();
  let refusals = 0;
  await using t = openSender({
    wrap: (deliveries) => ({
      async mark(id, mark) {
        if (refusals++ === 0) throw new Error("the disk is full");
        return deliveries.mark(id, mark);
      },
    }),
  });
  const id = await t.outcome(there.url);
  await t.until(id, ({ state }) => state === "delivered");
  expect(there.hits).toHaveLength(1);
});

test("a store that cannot be read for a moment costs a moment", async () => {
  await using there = await receiver();
  let refusals = 0;
  await using t = openSender({
    wrap: (deliveries) => ({
      async get(id) {
        if (refusals++ === 0) throw new Error("the file is being opened again");
        return deliveries.get(id);
      },
    }),
  });
  await t.until(await t.outcome(there.url), ({ state }) => state === "delivered");
  expect(there.hits).toHaveLength(1);
});

test("a secret that cannot be read is the server's own fault: the host is not blamed, and it is tried again", async () => {
  await using there = await receiver();
  let refusals = 0;
  await using t = openSender({
    secretsOf: () => {
      if (refusals++ < 6) throw new Error("the keys' file cannot be read");
      return [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", createdAt: 0, expiresAt: null }];
    },
  });
  const id = await t.outcome(there.url);
  const { attempts } = await t.waited(id, ({ state }) => state === "delivered");
  expect(attempts.map(({ error }) => error)).toEqual([
    ...Array.from({ length: 6 }, () => "The server could not make this webhook; its log tells more."),
    null,
  ]);
  expect(t.logged.filter(({ message }) => /this host/.test(String(message)))).toEqual([]);
});

test("it may be stopped before it was started, and twice, and starts no more", async () => {
  await using there = await receiver();
  await using t = openSender({ started: false });
  const id = await t.outcome(there.url);
  await t.sender.stop();
  await t.sender.stop();
  t.sender.start();
  await t.sender.poll();
  expect(await t.deliveries.get(id)).toMatchObject({ state: "pending", tries: 0 });
});
