/** A stream that was cut off goes on where its client says it was: nothing that the log holds is lost, nothing is told twice. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Lease } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { follow, run, type Following, type Told } from "./event-client.ts";
import { type Gateway, KEY, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
});

async function open(id: string, lastId?: string, at: Gateway = gateway): Promise<Following> {
  const headers = { "x-api-key": KEY, ...(lastId !== undefined && { "last-event-id": lastId }) };
  return await follow(at.port, `/v2/requests/${id}/events`, headers);
}

async function complete({ id, token }: Lease): Promise<void> {
  const result = { kind: "text", text: "done", reasoning: null } as const;
  await gateway.store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
}

/** Everything but the state, which is told anew to everyone who comes. */
const fromLog = (told: readonly Told[]): Told[] => told.filter(({ event }) => event !== "status");
/** Outputs as one text, for where it is cut depends on when it is read. */
function textOf(told: readonly Told[]): string {
  return told
    .filter(({ event }) => event === "output")
    .reduce((text, { data }) => text.slice(0, Number(data["at"])) + String(data["text"]), "");
}
const linesOf = (told: readonly Told[]): unknown[] =>
  told.filter(({ event }) => event === "log").map(({ data }) => data["message"]);

test("behind each event it goes on with the next one", async () => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  for (const [message, text] of [
    ["one", "Once "],
    ["two", "upon "],
    ["three", "a time"],
  ] as const) {
    await run(gateway.events, lease).log(message);
    await run(gateway.events, lease).output(text);
  }
  await run(gateway.events, lease).progress(1);
  await complete(lease);
  const whole = await (await open(id)).rest();
  expect(linesOf(whole)).toEqual(["one", "two", "three"]);
  for (const [index, { id: lastId }] of whole.slice(0, -1).entries()) {
    expect(await (await open(id, lastId)).rest()).toEqual(whole.slice(index + 1));
  }
});

test("a client whose connection breaks at every event has the same in the end as one that stayed", async () => {
  const id = await gateway.submit("words", {});
  const stayed = await open(id);
  const lease = await gateway.lease("words");
  const had: Told[] = [];
  let lastId: string | undefined;
  for (let step = 0; step < 30; step++) {
    await run(gateway.events, lease).log(`line ${step}`);
    await run(gateway.events, lease).output(`${step} `);
    using client = await open(id, lastId);
    await client.next(); // the state
    const told = await client.next();
    had.push(told);
    lastId = told.id;
  }
  await complete(lease);
  had.push(...(await (await open(id, lastId)).rest()));
  const all = await stayed.rest();
  expect(linesOf(had)).toEqual(linesOf(all));
  expect(textOf(had)).toBe(textOf(all));
  expect(new Set(fromLog(had).map((told) => told.id)).size).toBe(fromLog(had).length);
});

test("whoever knows the outcome is answered 204, which stops an EventSource; others are told it", async () => {
  const id = await gateway.submit("words", {});
  await complete(await gateway.lease("words"));
  const [last] = (await (await open(id)).rest()).slice(-1);
  expect(last!.data["status"]).toBe("COMPLETED");
  const again = await open(id, last!.id);
  expect([again.status, await again.rest(), again.raw()]).toEqual([204, [], ""]);

  const other = await open(id, last!.id.replace(/\.end$/, ""));
  expect((await other.rest()).map(({ data }) => data["status"])).toEqual(["COMPLETED"]);
  // The outcome of another request is none of this one.
  const runs = await gateway.submit("words", {});
  expect((await (await open(runs, last!.id)).next()).data["status"]).toBe("QUEUED");
});

test.each([
  "",
  "0",
  "42",
  "a.b.c.d",
  "-.-1.0.0",
  "x.1.99999999999999999999.0",
  "x".repeat(10_000),
  "\u00e9\u00e9",
  "x.1.5.7",
])("an id that is none of this log's (%s) begins at its beginning", async (lastId) => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  await run(gateway.events, lease).log("one");
  await run(gateway.events, lease).output("text");
  await complete(lease);
  const told = await (await open(id, lastId)).rest();
  expect([linesOf(told), textOf(told)]).toEqual([["one"], "text"]);
});

test("an id that this log never gave begins at its beginning, and ends", async () => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  await run(gateway.events, lease).log("one");
  await run(gateway.events, lease).output("text");
  await complete(lease);
  const told = await (await open(id)).rest();
  const [log] = told[0]!.id.split(".");
  for (const place of ["1.9.0", "1.0.9", "1.9.9", "2.1.4", "0.1.4", "1.1.999999999999999"]) {
    expect(await (await open(id, `${log}.${place}`)).rest(), place).toEqual(told);
  }
});

test("an id of an earlier attempt begins with the one that runs", async () => {
  const id = await gateway.submit("words", {});
  const first = await gateway.lease("words");
  await run(gateway.events, first).log("first");
  await run(gateway.events, first).output("a long text");
  const before = await open(id);
  await before.next();
  await before.next();
  const { id: lastId } = await before.next();
  await gateway.store.settle(id, first.token, { type: "release" });
  const second = await gateway.lease("words");
  await run(gateway.events, second).output("short");
  await complete(second);
  const told = await (await open(id, lastId)).rest();
  expect([linesOf(told), textOf(told), told.at(-1)!.data["attempt"]]).toEqual([[], "short", 2]);
});

test("a log that was lost with its server is told from its beginning, and the state is what it is", async () => {
  const clock = new TestClock();
  const store = memoryStore({ clock });
  await using before = await startGateway({}, { store, events: memoryStore({ clock }).events, clock });
  const id = await before.submit("words", {});
  const stream = await open(id, undefined, before);
  await stream.next();
  await before.close();
  expect(await stream.rest()).toEqual([]); // it ended at once, and nobody waits for the outcome

  await using after = await startGateway({}, { store, events: store.events, clock });
  const lease = await after.lease("words");
  await run(store.events, lease).log("after the start");
  const again = await open(id, "lost.1.7.9", after);
  expect((await again.next()).data["status"]).toBe("PROCESSING");
  expect((await again.next()).data["message"]).toBe("after the start");
});
