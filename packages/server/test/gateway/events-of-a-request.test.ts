/** `GET /v2/requests/{id}/events`: a client follows a request, and is told in its order what becomes of it. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Lease } from "../../src/store/store.ts";
import { type Following, follow, run, type Told } from "./event-client.ts";
import { type Gateway, KEY, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
});

async function open(id: string): Promise<Following> {
  return await follow(gateway.port, `/v2/requests/${id}/events`, { "x-api-key": KEY });
}

async function complete({ id, token }: Lease, text: string): Promise<void> {
  const result = { kind: "text", text, reasoning: null } as const;
  await gateway.store.settle(id, token, { type: "complete", result, inferenceMs: 1_500, hasFiles: false });
}

/** Without ids and times, which are others each time. */
function plain({ event, data }: Told): object {
  const { time: _, ...rest } = data;
  return { event, ...rest };
}

test("from the queue to the outcome: state, position, progress, lines, text, in their order", async () => {
  const id = await gateway.submit("words", { prompt: "x" });
  const stream = await open(id);
  expect(stream.status).toBe(200);
  expect(stream.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const about = { event: "status", request_id: id };
  expect(plain(await stream.next())).toEqual({
    ...about,
    status: "QUEUED",
    attempt: 0,
    position: 1,
    wait_reason: "model_limit",
  });

  const lease = await gateway.lease("words");
  expect(plain(await stream.next())).toEqual({ ...about, status: "PROCESSING", attempt: 1 });
  const { progress, log, output } = run(gateway.events, lease);
  await log("It begins.");
  expect(plain(await stream.next())).toEqual({ event: "log", message: "It begins." });
  await progress(0.25);
  expect(plain(await stream.next())).toEqual({ event: "progress", fraction: 0.25 });
  await output("Once ");
  expect(plain(await stream.next())).toEqual({ event: "output", at: 0, text: "Once " });
  await output("upon a time");
  expect(plain(await stream.next())).toEqual({ event: "output", at: 5, text: "upon a time" });
  await log("It ends.");
  await complete(lease, "Once upon a time");
  expect((await stream.rest()).map(plain)).toEqual([
    { event: "log", message: "It ends." },
    {
      ...about,
      status: "COMPLETED",
      attempt: 1,
      metrics: { inference_time: 1.5, queue_time: 0, total_time: 0 },
    },
  ]);
  expect(stream.raw()).toMatch(/^retry: [12]\d{3}\n\n/);
});

test("what a run tells at once comes in one go, and its time with it", async () => {
  const id = await gateway.submit("words", {});
  const stream = await open(id);
  await stream.next();
  const { log, progress, output } = run(gateway.events, await gateway.lease("words"));
  await stream.next();
  for (let line = 1; line <= 20; line++) await log(`line ${line}`);
  await progress(0.1);
  await progress(0.2);
  for (const letter of "letters") await output(letter);
  const told: Told[] = [];
  while (told.at(-1)?.event !== "output") told.push(await stream.next());
  expect(told.map(({ data }) => data["message"] ?? data["fraction"] ?? data["text"])).toEqual([
    ...Array.from({ length: 20 }, (_, line) => `line ${line + 1}`),
    0.2,
    "letters",
  ]);
  expect(told[0]!.data["time"]).toBe(new Date(gateway.clock.now()).toISOString());
});

test("text and lines arrive as they are, whatever breaks lines elsewhere", async () => {
  const id = await gateway.submit("words", {});
  const stream = await open(id);
  await stream.next();
  const { log, output } = run(gateway.events, await gateway.lease("words"));
  await stream.next();
  const strange = "a\nb\r\nc\u2028d\u2029e\u0085f\u000bg\0 \ud83d\ude00 event: x\n\ndata: y";
  await log(strange);
  expect((await stream.next()).data["message"]).toBe(strange);
  await output(strange);
  expect((await stream.next()).data["text"]).toBe(strange);
  expect(stream.raw()).not.toMatch(/[\r\u2028\u2029\u0085]/);
});

test("a text longer than one event comes in several, and no character is cut in half", async () => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  const text = `x${"\ud83d\ude00".repeat(50_000)}`;
  await run(gateway.events, lease).output(text);
  await complete(lease, text);
  const told = (await (await open(id)).rest()).filter(({ event }) => event === "output");
  expect(told.length).toBeGreaterThan(3);
  let whole = "";
  for (const { data } of told) {
    expect(String(data["text"]).isWellFormed()).toBe(true);
    whole = whole.slice(0, Number(data["at"])) + String(data["text"]);
  }
  expect(whole).toBe(text);
});

test("a second attempt: what the first told comes before it goes back, what the second tells after it begins", async () => {
  const id = await gateway.submit("words", {});
  const stream = await open(id);
  await stream.next();
  const first = await gateway.lease("words");
  await stream.next();
  await run(gateway.events, first).output("half a");
  await run(gateway.events, first).log("Going down.");
  const failure = { code: "runner_crashed", message: "It died." } as const;
  await gateway.store.settle(id, first.token, { type: "fail", kind: "crash", failure, inferenceMs: 1 });
  const again: Told[] = [];
  while (again.at(-1)?.event !== "status") again.push(await stream.next());
  expect(again.map(plain)).toMatchObject([
    { message: "Going down." },
    { at: 0, text: "half a" },
    { status: "QUEUED", attempt: 1, position: 1 },
  ]);
  expect(gateway.events.append(id, first.token, { type: "log", message: "A ghost." })).toBe(false);

  gateway.clock.advance(3_600_000 / 2);
  const second = await gateway.lease("words");
  expect((await stream.next()).data).toMatchObject({ status: "PROCESSING", attempt: 2 });
  await run(gateway.events, second).output("all of it");
  await complete(second, "all of it");
  expect((await stream.rest()).map(plain)).toMatchObject([
    { event: "output", at: 0, text: "all of it" },
    { status: "COMPLETED", attempt: 2 },
  ]);
});

test("a failure tells why, and so does a cancel", async () => {
  const failed = await open(await gateway.submit("words", {}));
  await gateway.fail("words", { code: "model_error", message: "There are no words." });
  expect((await failed.rest()).at(-1)!.data).toMatchObject({
    status: "FAILED",
    error: "There are no words.",
    error_code: "model_error",
    metrics: { inference_time: 0.003372 },
  });

  const id = await gateway.submit("words", {});
  const cancelled = await open(id);
  await gateway.call("POST", `/v2/requests/${id}/cancel`);
  expect((await cancelled.rest()).at(-1)!.data).toMatchObject({
    status: "FAILED",
    error: "The request was cancelled.",
    error_code: "cancelled",
  });
});

test("of a finished request there is what is left of its log, and the outcome", async () => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  await run(gateway.events, lease).log("Done.");
  await complete(lease, "42");
  const told = await (await open(id)).rest();
  expect(told.map(plain)).toMatchObject([{ message: "Done." }, { status: "COMPLETED" }]);

  // A retry is another request: nothing of it is told here.
  const again = await gateway.call("POST", `/v2/requests/${id}/retry`);
  const other = await open(String(again.json()["request_id"]));
  expect((await other.next()).data).toMatchObject({ status: "QUEUED", request_id: again.json()["request_id"] });
  expect((await (await open(id)).rest()).at(-1)!.data).toMatchObject({ status: "COMPLETED", request_id: id });
});

test("a request that is deleted is told as gone, or as cancelled on its way", async () => {
  const waits = await gateway.submit("words", {});
  const stream = await open(waits);
  await stream.next();
  await gateway.call("DELETE", `/v2/requests/${waits}`);
  const [last, ...none] = await stream.rest();
  expect(none).toEqual([]);
  expect(last!.data["error_code"]).toBe(last!.event === "gone" ? "unknown" : "cancelled");
});

test("two hundred follow one request, and each is told everything", async () => {
  const id = await gateway.submit("words", {});
  const streams = await Promise.all(Array.from({ length: 200 }, () => open(id)));
  const lease = await gateway.lease("words");
  await run(gateway.events, lease).output("Hello");
  await run(gateway.events, lease).log("well");
  await complete(lease, "Hello");
  const all = await Promise.all(streams.map((stream) => stream.rest()));
  for (const told of all) {
    const rest = told.map(plain).filter((one) => !("status" in one) || one.status !== "PROCESSING");
    expect(rest).toMatchObject([{ status: "QUEUED" }, { message: "well" }, { text: "Hello" }, { status: "COMPLETED" }]);
  }
});

test("the same event is told in one order with one id to all", async () => {
  const id = await gateway.submit("words", {});
  const lease = await gateway.lease("words");
  await run(gateway.events, lease).log("one");
  await run(gateway.events, lease).log("two");
  await complete(lease, "");
  const [first, second] = [await (await open(id)).rest(), await (await open(id)).rest()];
  expect(first).toEqual(second);
  expect(new Set(first.map((one) => one.id)).size).toBe(3);
});
