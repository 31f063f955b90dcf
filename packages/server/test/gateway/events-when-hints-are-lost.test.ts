/** Hints make streams fast; a shared round makes them true: what no hint told, who may not follow any more. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { EventLog } from "../../src/store/events.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import type { Lease, RequestStore, StoreDriver } from "../../src/store/store.ts";
import { scratchDirectory } from "../scratch.ts";
import { follow, run, type Following } from "./event-client.ts";
import { apiKey, type Gateway, KEY, startGateway, TestClock } from "./harness.ts";

/** In this time what waits is looked at; in five times, all. */
const ROUND_MS = 1_000;

let clock: TestClock;
let store: StoreDriver;
let gateway: Gateway;
let open: Disposable[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  clock = new TestClock();
  store = memoryStore({ clock });
  open = [];
});
afterEach(async () => {
  vi.useRealTimers();
  for (const one of open) one[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
});

const deaf: Pick<RequestStore, "onWake"> = { onWake: () => () => {} };
const deafLog = (log: EventLog): EventLog => ({
  append: (...all) => log.append(...all),
  read: (...all) => log.read(...all),
  output: (id) => log.output(id),
  onAppend: () => () => {},
});

async function start(changes: Partial<RequestStore>, log: EventLog = store.events): Promise<void> {
  gateway = await startGateway({}, { store: { ...store, ...changes }, events: log, clock });
}

async function opened(id: string, key = KEY): Promise<Following> {
  const stream = await follow(gateway.port, `/v2/requests/${id}/events`, { "x-api-key": key });
  open.push(stream);
  return stream;
}

/** Lets `ms` pass, round by round. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += ROUND_MS) {
    clock.advance(Math.min(ROUND_MS, ms - passed));
    await vi.advanceTimersByTimeAsync(ROUND_MS);
  }
}

async function complete({ id, token }: Lease): Promise<void> {
  const result = { kind: "text", text: "done", reasoning: null } as const;
  await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
}

test("every hint is lost: all is told all the same, within five rounds", async () => {
  await start(deaf, deafLog(store.events));
  const id = await gateway.submit("words", {});
  const stream = await opened(id);
  expect((await stream.next()).data["status"]).toBe("QUEUED");
  const lease = await gateway.lease("words");
  await pass(ROUND_MS); // what waits is looked at in every round
  expect((await stream.next()).data["status"]).toBe("PROCESSING");
  await run(store.events, lease).log("x");
  await pass(5 * ROUND_MS);
  expect((await stream.next()).data["message"]).toBe("x");
  await run(store.events, lease).output("y");
  await complete(lease);
  await pass(5 * ROUND_MS);
  expect((await stream.rest()).map(({ event }) => event)).toEqual(["output", "status"]);
});

test("a store without hints is looked at in every round", async () => {
  const { onWake: _, ...silent } = store;
  gateway = await startGateway({}, { store: silent, events: store.events, clock });
  const id = await gateway.submit("words", {});
  await gateway.lease("words");
  const stream = await opened(id);
  await stream.next();
  await store.finish(id, { type: "delete" });
  await pass(ROUND_MS);
  expect((await stream.rest()).map(({ event, data }) => [event, data["error_code"]])).toEqual([["gone", "unknown"]]);
});

test("a hint that is wrong tells nobody anything", async () => {
  const hints = new Set<(wake: { type: "finished"; id: string }) => void>();
  await start({ onWake: (listener) => (hints.add(listener), () => hints.delete(listener)) });
  const id = await gateway.submit("words", {});
  const stream = await opened(id);
  await stream.next();
  for (const hint of hints) hint({ type: "finished", id });
  await pass(ROUND_MS);
  await gateway.lease("words");
  await pass(ROUND_MS);
  expect((await stream.next()).data["status"]).toBe("PROCESSING");
});

test("a store or a log that cannot tell now is asked again", async () => {
  let isBroken = true;
  const ask = <T>(answer: () => T): T => {
    if (isBroken) throw new Error("closed after a failed commit");
    return answer();
  };
  const log = {
    ...deafLog(store.events),
    read: (...all: Parameters<EventLog["read"]>) => ask(() => store.events.read(...all)),
  };
  let looks = 0;
  await start({ status: (id) => (looks++ < 1 ? store.status(id) : ask(() => store.status(id))) }, log);
  const id = await gateway.submit("words", {});
  const stream = await opened(id); // admitted by the first look
  await complete(await gateway.lease("words"));
  await pass(5 * ROUND_MS);
  isBroken = false;
  await pass(5 * ROUND_MS);
  expect((await stream.rest()).at(-1)!.data["status"]).toBe("COMPLETED");
});

test("a store and a log that must be waited for tell the same", async () => {
  const log = {
    ...deafLog(store.events),
    read: async (...all: Parameters<EventLog["read"]>) => await store.events.read(...all),
    onAppend: (listener: (id: string) => void) => store.events.onAppend(listener),
  };
  await start({ status: async (id) => await store.status(id) }, log);
  const id = await gateway.submit("words", {});
  const stream = await opened(id);
  await stream.next();
  const lease = await gateway.lease("words");
  expect((await stream.next()).data["status"]).toBe("PROCESSING");
  await run(store.events, lease).log("x");
  await run(store.events, lease).output("y");
  await complete(lease);
  expect((await stream.rest()).map(({ event }) => event)).toEqual(["log", "output", "status"]);
});

test("the position is told as it changes, once in a round", async () => {
  await start({});
  const ids = [];
  for (let place = 1; place <= 4; place++) ids.push(await gateway.submit("words", {}));
  const stream = await opened(ids[3]!);
  expect((await stream.next()).data["position"]).toBe(4);
  await gateway.lease("words");
  await gateway.lease("words");
  await pass(ROUND_MS);
  expect((await stream.next()).data).toMatchObject({ status: "QUEUED", position: 2 });
  await pass(3 * ROUND_MS);
  await store.finish(ids[3]!, { type: "delete" });
  expect((await stream.rest()).map(({ event }) => event)).toEqual(["gone"]);
});

test("a request that expires is told as gone", async () => {
  await start({});
  const answer = await gateway.call("POST", "/v2/words", {}, { "x-result-ttl": "60" });
  const stream = await opened(String(answer.json()["request_id"]));
  await stream.next();
  await pass(61_000);
  const [last] = await stream.rest();
  expect(last).toMatchObject({ event: "gone", data: { error_code: "expired" } });
});

test("a stream on which nothing came for fifteen seconds shows that it is in use", async () => {
  await start({});
  const stream = await opened(await gateway.submit("words", {}));
  const told = stream.rest();
  await pass(14_000);
  const lease = await gateway.lease("words");
  await pass(14_000); // something came
  await pass(47_000);
  await complete(lease);
  expect((await told).map(({ data }) => data["status"])).toEqual(["QUEUED", "PROCESSING", "COMPLETED"]);
  expect(
    stream
      .raw()
      .split("\n\n")
      .filter((block) => block === ":"),
  ).toHaveLength(4);
});

test.for(["revoked", "expired"] as const)(
  "a key that is %s ends its streams within half a second, and only its own",
  async (how) => {
    await using scratch = await scratchDirectory();
    using keys = sqliteKeys(scratch.path, clock);
    const expiresAt = how === "expired" ? clock.now() + 500 : null;
    keys.add({ ...apiKey("second", "SG_second", false), owner: "one", expiresAt }, "cli");
    gateway = await startGateway({}, { store, events: store.events, clock, keys });
    const id = await gateway.submit("words", {});
    const stays = await opened(id);
    await stays.next();
    const ends = await opened(id, "SG_second");
    await ends.next();
    if (how === "revoked") keys.revoke("second", "cli");
    clock.advance(500);
    await vi.advanceTimersByTimeAsync(500);
    expect(await ends.rest()).toEqual([]);
    const again = await opened(id, "SG_second");
    expect([again.status, again.headers["x-error-code"]]).toEqual([401, "invalid_key"]);
    await gateway.lease("words");
    expect((await stays.next()).data["status"]).toBe("PROCESSING");
  },
);
