/** `?webhook=` on a submit: what is stored, what is refused and with which sentence, what a retry makes of it; docs/guide/webhooks.md. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Webhook } from "../../src/core/request.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { type Gateway, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

const HOOK = "https://client.example/hook";
const BOTH = ["completed", "failed"] as const;

async function submitted(query: string, to: Gateway = gateway): Promise<string> {
  const answer = await to.call("POST", `/v2/words${query}`, {});
  if (answer.status !== 200) throw new Error(answer.text);
  return String(answer.json()["request_id"]);
}

async function webhookOf(id: string, to: Gateway = gateway): Promise<Webhook | null> {
  return (await to.store.get(id))!.webhook;
}

test.each<[string, Webhook]>([
  [`?webhook=${HOOK}`, { url: HOOK, events: BOTH, body: "full" }],
  [`?webhook=${encodeURIComponent(`${HOOK}?a=1&b=%20+`)}`, { url: `${HOOK}?a=1&b=%20+`, events: BOTH, body: "full" }],
  [`?webhook=${HOOK}&webhook_events=failed&webhook_body=thin`, { url: HOOK, events: ["failed"], body: "thin" }],
  [`?webhook=${HOOK}&webhook_events=failed,%20completed&webhook_body=full`, { url: HOOK, events: BOTH, body: "full" }],
  [`?webhook_events=completed,completed&webhook=${HOOK}`, { url: HOOK, events: ["completed"], body: "full" }],
  ["?webhook=http://B%C3%BCcher.example:80", { url: "http://xn--bcher-kva.example/", events: BOTH, body: "full" }],
])("%s is stored as it is meant", async (query, webhook) => {
  expect(await webhookOf(await submitted(query))).toEqual(webhook);
  const waiting = await submitted(`${query}&wait=0.01`);
  expect(await webhookOf(waiting)).toEqual(webhook);
});

test("a synchronous call has one too", async () => {
  const queued = new Promise<void>((resolve) => gateway.store.onWake!(() => resolve()));
  const answering = gateway.call("POST", `/v1/words?webhook=${HOOK}&webhook_body=thin`, {});
  await queued;
  const { id } = await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  expect((await answering).status).toBe(200);
  expect(await webhookOf(id)).toEqual({ url: HOOK, events: BOTH, body: "thin" });
});

test("whoever asks for none has none, whatever else stands in the query", async () => {
  for (const query of ["", "?", "?source=sdk", "?wait=0"]) expect(await webhookOf(await submitted(query))).toBeNull();
});

const ABSOLUTE = "webhook must be an absolute http or https URL, such as https://example.com/hook, got";
const ALLOW = "If it is to be allowed, start the server with INFERQ_ALLOW_PRIVATE=webhook.";
test.each([
  ["webhook=", `${ABSOLUTE} "".`],
  ["webhook=/hook", `${ABSOLUTE} "/hook".`],
  ["webhook=client.example/hook", `${ABSOLUTE} "client.example/hook".`],
  ["webhook=localhost:9000", `${ABSOLUTE} "localhost:9000".`],
  ["webhook=ftp://client.example", `${ABSOLUTE} "ftp://client.example".`],
  ["webhook=https://", `${ABSOLUTE} "https://".`],
  ["webhook=https://client.example/a+b", `${ABSOLUTE} "https://client.example/a b".`],
  [
    `webhook=${HOOK}${"x".repeat(2_022)}`,
    `webhook must be a URL of at most 2048 characters, got 2049: "${HOOK}${"x".repeat(33)}…".`,
  ],
  [
    "webhook=https://user:password@client.example/",
    "webhook must be a URL without a user name or password. Verify the signature that each webhook carries instead.",
  ],
  [`webhook=${HOOK}%23top`, 'webhook must be a URL without a fragment, which is never sent: leave out "#top".'],
  [
    "webhook=http://localhost:9000/hook",
    `webhook may not be sent to localhost:9000: it is this machine itself. ${ALLOW}`,
  ],
  ["webhook=http://127.1/", `webhook may not be sent to 127.0.0.1: 127.0.0.1 is a loopback address. ${ALLOW}`],
  ["webhook=http://10.0.0.7/", `webhook may not be sent to 10.0.0.7: 10.0.0.7 is a private address. ${ALLOW}`],
  ["webhook=http://[::1]:80/", `webhook may not be sent to [::1]: ::1 is a loopback address. ${ALLOW}`],
  [`webhook=${HOOK}&webhook=${HOOK}`, "webhook must be given once, got it 2 times."],
  [
    `webhook=${HOOK}&webhook_events=failed&webhook_events=completed`,
    "webhook_events must be given once, got it 2 times.",
  ],
  [
    `webhook=${HOOK}&webhook_events=failed,started`,
    'webhook_events must be completed, failed or both with a comma between, got "failed,started".',
  ],
  [`webhook=${HOOK}&webhook_events=`, 'webhook_events must be completed, failed or both with a comma between, got "".'],
  [`webhook=${HOOK}&webhook_body=small`, 'webhook_body must be full or thin, got "small".'],
  [
    "webhook_events=failed",
    "webhook_events was given without a webhook. Add the URL to send it to: ?webhook=https://example.com/hook.",
  ],
  [
    "webhook_body=thin",
    "webhook_body was given without a webhook. Add the URL to send it to: ?webhook=https://example.com/hook.",
  ],
  [
    "webhook_url=https://client.example",
    'There is no query parameter "webhook_url" here; of a webhook there are webhook, webhook_events and webhook_body. ' +
      "If it is a part of the webhook's own URL, percent-encode that URL.",
  ],
  [
    `webhook=${HOOK}?a=1&token=2`,
    'There is no query parameter "token" here; of a webhook there are webhook, webhook_events and webhook_body. ' +
      "If it is a part of the webhook's own URL, percent-encode that URL.",
  ],
])("?%s is refused", async (query, sentence) => {
  for (const version of ["v1", "v2"]) {
    const answer = await gateway.call("POST", `/${version}/words?${query}`, {});
    expect([answer.status, answer.headers["x-error-code"], answer.json()]).toEqual([
      400,
      "bad_request",
      { error: sentence },
    ]);
  }
  expect((await gateway.call("GET", "/v2/requests")).json()["requests"]).toEqual([]);
});

test("it is refused before the body is read", async () => {
  const headers = { "content-length": "1000000", expect: "100-continue" };
  const answer = await gateway.call("POST", "/v2/words?webhook=nowhere", "", headers);
  expect(answer.status).toBe(400);
});

test("private addresses that the operator allows are taken", async () => {
  await using open = await startGateway({ allowPrivateWebhooks: true });
  await using inputs = await startGateway({ allowPrivate: true });
  const query = "?webhook=http://localhost:9000/hook";
  expect(await webhookOf(await submitted(query, open), open)).toMatchObject({ url: "http://localhost:9000/hook" });
  expect((await inputs.call("POST", `/v2/words${query}`, {})).status).toBe(400);
});

test("under one idempotency key the same webhook is a replay, another one a conflict", async () => {
  const answer = async (query: string): Promise<[number, unknown]> => {
    const { status, headers } = await gateway.call("POST", `/v2/words${query}`, {}, { "idempotency-key": "order-7" });
    return [status, headers["idempotent-replayed"]];
  };
  expect(await answer(`?webhook=${HOOK}`)).toEqual([200, undefined]);
  expect(await answer(`?webhook=${encodeURIComponent(HOOK)}&webhook_events=failed,completed`)).toEqual([200, "true"]);
  expect(await answer("?webhook=https://client.example/other")).toEqual([409, undefined]);
  expect(await answer("")).toEqual([409, undefined]);
});

test("a retry is told of as the old request was", async () => {
  const old = await submitted(`?webhook=${HOOK}&webhook_events=failed&webhook_body=thin`);
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  const again = await gateway.call("POST", `/v2/requests/${old}/retry`);
  expect([again.status, again.headers["warning"]]).toEqual([200, undefined]);
  const webhook = await webhookOf(String(again.json()["request_id"]));
  expect(webhook).toEqual({ url: HOOK, events: ["failed"], body: "thin" });
});

test("a retry whose webhook is not allowed any more runs, and says that nobody will be told", async () => {
  const clock = new TestClock();
  const store = memoryStore({ clock });
  await using before = await startGateway({ allowPrivateWebhooks: true }, { store, clock });
  const old = await submitted("?webhook=http://127.0.0.1:9000/hook", before);
  await before.complete("words", { kind: "text", text: "42", reasoning: null });
  await using after = await startGateway({}, { store, clock });
  const again = await after.call("POST", `/v2/requests/${old}/retry`);
  expect([again.status, again.headers["warning"]]).toEqual([
    200,
    '299 - "Its outcome will not be sent: webhook may not be sent to 127.0.0.1:9000: 127.0.0.1 is a loopback address."',
  ]);
  expect(await webhookOf(String(again.json()["request_id"]), after)).toBeNull();
});
