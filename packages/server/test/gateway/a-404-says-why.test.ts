/** The code of a 404 says whether the caller's request has expired, and when, or whether nobody knows of one. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { idMaker } from "../../src/core/ids.ts";
import { type Answer, type Gateway, NO_KEYS, OTHER_KEY, send, startGateway } from "./harness.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let gateway: Gateway;
beforeEach(async () => void (gateway = await startGateway({ resultTtlLimitSeconds: 86_400 })));
afterEach(async () => await gateway[Symbol.asyncDispose]());

const unknown = (id: string) => [404, "unknown", undefined, `{"error":"Request ${id} not found"}`];
const expired = (id: string, at: number) => [404, "expired", new Date(at).toISOString(), unknown(id)[3]];

function told({ status, headers, text }: Answer): unknown[] {
  return [status, headers["x-error-code"], headers["x-expired-at"], text];
}

async function ask(id: string, headers: Record<string, string> = {}): Promise<unknown[]> {
  return told(await gateway.call("GET", `/v2/requests/${id}/status`, undefined, headers));
}

async function submit(headers: Record<string, string>): Promise<string> {
  return String((await gateway.call("POST", "/v2/words", {}, headers)).json()["request_id"]);
}

test("expired, and since when, on every path about the request", async () => {
  const madeAt = gateway.clock.now();
  const id = await gateway.submit("words", {});
  gateway.clock.advance(HOUR_MS - 1);
  expect((await ask(id))[0]).toBe(200);
  gateway.clock.advance(1);
  for (const [method, path] of [
    ["GET", `/v2/requests/${id}/status`],
    ["GET", `/v2/requests/${id}`],
    ["GET", `/v1/requests/${id}`],
    ["GET", `/v2/requests/${id}/timeline`],
    ["GET", `/v2/requests/${id}?wait=10`],
    ["POST", `/v2/requests/${id}/cancel`],
    ["POST", `/v2/requests/${id}/retry`],
    ["DELETE", `/v2/requests/${id}`],
  ] as const) {
    expect(told(await gateway.call(method, path)), `${method} ${path}`).toEqual(expired(id, madeAt + HOUR_MS));
  }
  expect((await gateway.store.sweep(10)).expired).toMatchObject([{ id }]); // it made no difference that it lay there still
  await gateway.store.finish(id, { type: "expire" });
  gateway.clock.advance(300 * DAY_MS);
  expect(await ask(id)).toEqual(expired(id, madeAt + HOUR_MS));
});

test("the time is that of the life that was asked for, rounded up as the list of requests tells it", async () => {
  const madeAt = gateway.clock.now();
  const short = await submit({ "x-result-ttl": "0.2" });
  const long = await submit({ "x-result-ttl": "3601" });
  const { requests } = (await gateway.call("GET", "/v2/requests")).json() as { requests: { expires_at: string }[] };
  const ends = requests.map(({ expires_at: end }) => Date.parse(end) - madeAt);
  expect(ends).toEqual([3_630_000, 1_000]);
  gateway.clock.advance(3_630_000);
  expect(await ask(short)).toEqual(expired(short, madeAt + 1_000));
  expect(await ask(long)).toEqual(expired(long, madeAt + 3_630_000));
});

test("a call that waits while the request expires is told so", async () => {
  const madeAt = gateway.clock.now();
  const calls = [gateway.call("POST", "/v1/words", {}), gateway.call("POST", "/v2/words?wait=30", {})];
  const ids = await waiting(2);
  gateway.clock.advance(HOUR_MS);
  for (const answer of await Promise.all(calls)) {
    const [status, code, at] = told(answer);
    expect([status, code, at]).toEqual([404, "expired", new Date(madeAt + HOUR_MS).toISOString()]);
    expect(ids.some((id) => answer.text === unknown(id)[3])).toBe(true);
  }
});

test("unknown to another owner, while the request is there and afterwards", async () => {
  const id = await gateway.submit("words", {});
  expect(await ask(id, { "x-api-key": OTHER_KEY })).toEqual(unknown(id));
  gateway.clock.advance(HOUR_MS);
  expect(await ask(id, { "x-api-key": OTHER_KEY })).toEqual(unknown(id));
  expect((await ask(id))[1]).toBe("expired");
});

test("unknown when it never was: another id, another form, the key probe, another server's, one of before this version", async () => {
  const id = await gateway.submit("words", {});
  const before = idMaker(gateway.clock)();
  const theirs = await startGateway({}, { keys: { ...NO_KEYS, idSecret: "f".repeat(32) } });
  const foreign = await theirs.submit("words", {});
  await theirs[Symbol.asyncDispose]();
  gateway.clock.advance(2 * DAY_MS);
  const other = id.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
  const probe = "00000000-0000-0000-0000-000000000000";
  for (const one of [other, id.toUpperCase(), id.replaceAll("-", ""), probe, "x", before, foreign]) {
    expect(await ask(one), one).toEqual(unknown(one));
  }
});

test("unknown when it was deleted; nobody can tell it from one that expired once its life is over", async () => {
  const madeAt = gateway.clock.now();
  const id = await gateway.submit("words", {});
  expect((await gateway.call("DELETE", `/v2/requests/${id}`)).status).toBe(204);
  expect(await ask(id)).toEqual(unknown(id));
  gateway.clock.advance(HOUR_MS);
  expect(await ask(id)).toEqual(expired(id, madeAt + HOUR_MS));
});

test("one kept until it is read: unknown once that is over, expired without a time once the longest life is", async () => {
  const id = await submit({ "x-keep-until-read": "true", "x-result-ttl": "60" });
  await gateway.complete("words", { kind: "text", text: "yes", reasoning: null });
  expect((await gateway.call("GET", `/v2/requests/${id}`)).status).toBe(200);
  await gateway.store.expireBy(id, gateway.clock.now() + 60_000); // the reading counts when it has been sent
  gateway.clock.advance(60_000);
  expect(await ask(id)).toEqual(unknown(id));
  gateway.clock.advance(DAY_MS);
  expect(await ask(id)).toEqual([404, "expired", undefined, unknown(id)[3]]);
});

test("a page may read the time", async () => {
  await using open = await startGateway({ corsOrigins: ["https://app.example"] });
  const headers = { origin: "https://app.example" };
  const answer = await send(open.port, "GET", "/v2/models", headers);
  expect(answer.headers["access-control-expose-headers"]).toMatch(/\bx-expired-at\b/);
});

/** Polls until so many requests wait; answers their ids. */
async function waiting(count: number): Promise<string[]> {
  for (;;) {
    const { requests } = await gateway.store.list({ owner: "one", limit: 10 });
    if (requests.length === count) return requests.map(({ id }) => id);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
