/** Requests a second of a key: a burst of one second's worth, then steadily; what is left is told with each answer. */
import { expect, test } from "vitest";
import { type Answer, apiKey, type Gateway, KEY, OTHER_KEY, startGateway } from "./harness.ts";

const JSON_TYPE = { "content-type": "application/json" };
const FORM = { "content-type": "multipart/form-data; boundary=x" };
const form = `--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\na rose\r\n--x--\r\n`;

function submit(gateway: Gateway, headers: Record<string, string> = {}): Promise<Answer> {
  return gateway.call("POST", "/v2/words", {}, headers);
}

/** How many submits in a row go through. */
async function accepted(gateway: Gateway): Promise<number> {
  for (let count = 0; ; count += 1) {
    const { status, headers } = await submit(gateway);
    if (status === 200) continue;
    expect(headers["x-error-code"]).toBe("rate_limited");
    return count;
  }
}

test("three a second: three at once, then one each third of a second, and never more than three", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 3 });
  expect(await accepted(gateway)).toBe(3);
  gateway.clock.advance(333);
  expect(await accepted(gateway)).toBe(0);
  gateway.clock.advance(1);
  expect(await accepted(gateway)).toBe(1);
  gateway.clock.advance(3_600_000);
  expect(await accepted(gateway)).toBe(3);
});

test("one in ten seconds, as 0.1 a second", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 0.1 });
  const first = await submit(gateway);
  expect(first.status).toBe(200);
  expect(first.headers).toMatchObject({ "ratelimit-policy": `"requests";q=1;w=10`, ratelimit: `"requests";r=0;t=10` });
  gateway.clock.advance(2_500);
  const early = await submit(gateway);
  expect(early.status).toBe(429);
  expect(early.json()).toEqual({ error: "This key may send 0.1 requests a second. Send the next in 8 s." });
  expect(early.headers).toMatchObject({
    "x-error-code": "rate_limited",
    "retry-after": "8",
    "ratelimit-policy": `"requests";q=1;w=10`,
    ratelimit: `"requests";r=0;t=8`,
  });
  gateway.clock.advance(7_500);
  expect(await accepted(gateway)).toBe(1);
});

test("whoever keeps to what is told is never refused", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 2.5 });
  for (let round = 0; round < 20; round += 1) {
    const { status, headers } = await submit(gateway);
    expect(status).toBe(200);
    const [, left, seconds] = /"requests";r=(\d+);t=(\d+)/.exec(String(headers.ratelimit))!;
    if (left === "0") gateway.clock.advance(Number(seconds) * 1000);
  }
});

test("each way to make a request counts, and each tells what is left", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 10, syncTimeoutSeconds: 0.001 });
  const id = String((await submit(gateway)).json()["request_id"]);
  await gateway.complete("words", { kind: "text", text: "", reasoning: null }, 0);
  const ways = [
    await gateway.call("POST", "/v2/words", form, FORM),
    await gateway.call("POST", "/v1/words", {}),
    await gateway.call("POST", "/v2/words?wait=0.001", {}),
    await gateway.call("POST", `/v2/requests/${id}/retry`),
    await submit(gateway, { "idempotency-key": "k" }),
    await submit(gateway, { "idempotency-key": "k" }), // it adds nothing, but it was sent
  ];
  expect(ways.map(({ headers }) => headers.ratelimit)).toEqual(
    [8, 7, 6, 5, 4, 3].map((left) => `"requests";r=${left};t=1`),
  );
  expect(ways.at(-1)!.headers["idempotent-replayed"]).toBe("true");
});

test("calls that make no request are not counted, nor what is refused for its head", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 1 });
  const id = "019b76da-0000-7000-8000-000000000000";
  for (let i = 0; i < 5; i += 1) {
    await gateway.call("GET", `/v2/requests/${id}/status`);
    await gateway.call("GET", "/v2/requests");
    await gateway.call("POST", `/v2/requests/${id}/cancel`);
    await gateway.call("POST", "/v2/nothing", {});
    await gateway.call("POST", "/v2/words", "<x", { "content-type": "text/xml" });
  }
  const answer = await submit(gateway);
  expect(answer.status).toBe(200);
  expect((await gateway.call("GET", `/v2/requests/${String(answer.json()["request_id"])}/status`)).status).toBe(200);
});

test("a key's own number goes before the configuration's; who has none is told none", async () => {
  const own = { ...apiKey("own", "SG_own", false), requestsPerSecond: 2 };
  const staticKeys = [own, apiKey("one", KEY, false)];
  await using limited = await startGateway({ keyRequestsPerSecond: 1 }, { staticKeys });
  const told = await submit(limited, { "x-api-key": "SG_own" });
  expect(told.headers["ratelimit-policy"]).toBe(`"requests";q=2;w=1`);
  expect(await accepted(limited)).toBe(1);

  await using open = await startGateway({}, { staticKeys });
  const untold = await submit(open);
  expect(untold.headers).not.toHaveProperty("ratelimit");
  expect(untold.headers).not.toHaveProperty("ratelimit-policy");
  expect(untold.headers).not.toHaveProperty("retry-after");
});

test("a key keeps its count when it is rotated, and shares it with nobody", async () => {
  const old = apiKey("one", KEY, false);
  const staticKeys = [old, { ...old, hash: apiKey("one", "SG_new", false).hash }, apiKey("two", OTHER_KEY, false)];
  await using gateway = await startGateway({ keyRequestsPerSecond: 1 }, { staticKeys });
  expect((await submit(gateway)).status).toBe(200);
  expect((await submit(gateway, { "x-api-key": "SG_new" })).status).toBe(429);
  expect((await submit(gateway, { "x-api-key": OTHER_KEY })).status).toBe(200);
});

test("a page of another origin may read what it is told", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 1, corsOrigins: ["https://app.example"] });
  const answer = await submit(gateway, { ...JSON_TYPE, origin: "https://app.example" });
  const exposed = String(answer.headers["access-control-expose-headers"]).split(", ");
  expect(exposed).toEqual(expect.arrayContaining(["retry-after", "ratelimit", "ratelimit-policy"]));
});

test("refusals are counted, and told in the log once a minute", async () => {
  await using gateway = await startGateway({ keyRequestsPerSecond: 1 });
  await submit(gateway);
  for (let i = 0; i < 20; i += 1) await submit(gateway);
  const lines = (): unknown[] =>
    gateway.logs.filter((line) => line.includes("rate_limited")).map((line) => JSON.parse(line));
  expect(lines()).toEqual([expect.objectContaining({ code: "rate_limited", key: "one", owner: "one", limit: 1 })]);
  gateway.clock.advance(60_000);
  await submit(gateway);
  await submit(gateway);
  expect(lines()).toHaveLength(2);
  expect(await gateway.metrics()).toContain(`inferq_refused_total{code="rate_limited"} 21`);
});
