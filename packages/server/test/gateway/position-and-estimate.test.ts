/** What a waiting client is told: its place in the queue, how long it may take, and why it waits. */
import { beforeEach, afterEach, expect, test } from "vitest";
import { type Answer, type Gateway, send, startGateway, KEY } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => void (gateway = await startGateway()));
afterEach(async () => await gateway[Symbol.asyncDispose]());

const status = (id: string): Promise<Answer> => gateway.call("GET", `/v2/requests/${id}/status`);

/** The headers of the poll that takes the short way, which are those of the one that does not. */
async function told(id: string): Promise<Record<string, string>> {
  const pick = ({ headers }: Answer): Record<string, string> =>
    Object.fromEntries(
      ["position", "seconds", "reason"]
        .map((what, i) => [what, headers[["x-queue-position", "x-estimated-seconds", "x-wait-reason"][i]!]])
        .filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
  const short = pick(await status(id));
  const long = pick(await send(gateway.port, "GET", `/v2/requests/${id}/status?`, { "x-api-key": KEY }));
  expect(long).toEqual(short);
  return short;
}

test("a request that waits says how many are before it, itself included", async () => {
  const [first, second] = [await gateway.submit("words", {}), await gateway.submit("words", {})];
  expect(await told(first)).toEqual({ position: "1", reason: "model_limit" });
  expect(await told(second)).toEqual({ position: "2", reason: "model_limit" });
  await gateway.lease("words");
  expect(await told(first)).toEqual({});
  expect(await told(second)).toEqual({ position: "1", reason: "model_limit" });
});

test("the body stays the contract's, and what is finished has none of the headers", async () => {
  const id = await gateway.submit("words", {});
  expect(Object.keys((await status(id)).json())).toEqual([
    "status",
    "request_id",
    "status_url",
    "response_url",
    "metrics",
  ]);
  await gateway.complete("words", { kind: "text", text: "Yes.", reasoning: null });
  expect(await told(id)).toEqual({});
});

test.for([
  ["starting", "cold_start"],
  ["failed", "no_worker"],
  ["stopped", "no_worker"],
] as const)("while its model is %s, the reason is %s", async ([type, reason]) => {
  const id = await gateway.submit("words", {});
  gateway.states.set("words", { type, reason: "no memory" });
  expect(await told(id)).toMatchObject({ reason });
});

test("while it waits for its next try, that is the reason", async () => {
  const id = await gateway.submit("words", {});
  const { token } = await gateway.lease("words");
  const failure = { code: "model_error", message: "Later." } as const;
  await gateway.store.settle(id, token, { type: "fail", kind: "retryable", failure, inferenceMs: 1 });
  expect(await told(id)).toEqual({ position: "1", reason: "retry_delay" });
  gateway.clock.advance(1_000);
  expect(await told(id)).toEqual({ position: "1", reason: "model_limit" });
});

test.for([
  [[0, 0], "0-1"],
  [[400, 900], "0-1"],
  [[3_900, 14_100], "3-15"],
  [[99_900, 100_100], "99-110"],
  [[123_456, 7_654_321], "120-7700"],
] as const)("times of %j ms are told as %s", async ([remainingMs, seconds]) => {
  const store = { ...gateway.store, outlook: () => ({ position: 3, delayed: false, remainingMs }) };
  await using told = await startGateway({}, { store });
  const id = await told.submit("words", {});
  const path = `/v2/requests/${id}/status`;
  expect((await told.call("GET", path)).headers["x-estimated-seconds"]).toBe(seconds);
  told.states.set("words", { type: "starting" }); // nobody knows how long that takes
  expect((await told.call("GET", path)).headers["x-estimated-seconds"]).toBeUndefined();
});

test("a store that cannot tell leaves the position out", async () => {
  const { outlook: _, ...store } = gateway.store;
  await using other = await startGateway({}, { store });
  const id = await other.submit("words", {});
  const { headers } = await other.call("GET", `/v2/requests/${id}/status`);
  expect(headers).toMatchObject({ "x-wait-reason": "model_limit" });
  expect(headers["x-queue-position"]).toBeUndefined();
});
