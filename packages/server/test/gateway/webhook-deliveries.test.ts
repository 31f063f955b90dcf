/** What became of the webhooks to a caller's own requests: listed, looked at with their tries and the body as it is sent, sent again. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DeliveryMark } from "../../src/store/deliveries.ts";
import { webhookBody } from "../../src/wire/webhook.ts";
import { ADMIN_KEY, type Gateway, OTHER_KEY, send, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

const HOOK = "https://client.example/hook";
const PATH = "/v2/webhooks/deliveries";

type Body = Record<string, unknown>;

async function submit(query = `?webhook=${HOOK}`, headers: Record<string, string> = {}): Promise<string> {
  const answer = await gateway.call("POST", `/v2/words${query}`, {}, headers);
  return String(answer.json()["request_id"]);
}

/** A request whose webhook is due, with an outcome. */
async function finished(query?: string, headers?: Record<string, string>): Promise<string> {
  const id = await submit(query, headers);
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null }, 1_000);
  return id;
}

async function mark(id: string, type: DeliveryMark["type"], status: number | null): Promise<void> {
  const error = type === "delivered" ? null : status === null ? "It did not answer." : `It answered ${status}.`;
  const attempt = { at: gateway.clock.now(), tookMs: 12, status, error };
  const now = gateway.clock.now();
  const done = type === "retry" ? { type, attempt, dueAt: now + 5_000 } : { type, attempt };
  expect(await gateway.deliveries.mark(id, done)).toBe(true);
}

async function list(query = "", key?: string): Promise<{ deliveries: Body[]; next_cursor: string | null }> {
  const answer = await gateway.call("GET", PATH + query, undefined, key === undefined ? {} : { "x-api-key": key });
  expect(answer.status, answer.text).toBe(200);
  return answer.json() as { deliveries: Body[]; next_cursor: string | null };
}

async function look(id: string): Promise<Body> {
  const answer = await gateway.call("GET", `${PATH}/${id}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json();
}

test("one that waits for its second try is shown with the first, what is due next, and its body", async () => {
  const id = await finished();
  gateway.clock.advance(40);
  await mark(id, "retry", 503);
  const about = {
    request_id: id,
    event: "request.completed",
    url: HOOK,
    state: "pending",
    created_at: "2026-09-21T14:13:21.000Z",
    tries: 1,
    next_try_at: "2026-09-21T14:13:26.040Z",
  };
  const attempt = {
    at: "2026-09-21T14:13:21.040Z",
    took_seconds: 0.012,
    http_status: 503,
    error: "It answered 503.",
  };
  expect(await list()).toEqual({ deliveries: [{ ...about, last_attempt: attempt }], next_cursor: null });

  const { body, ...shown } = await look(id);
  expect(shown).toEqual({ ...about, attempts: [attempt], webhook_body: "full" });
  expect(body).toBe(webhookBody((await gateway.deliveries.get(id))!));
  expect(JSON.parse(String(body))).toMatchObject({
    type: "request.completed",
    data: { request_id: id, output: "42", response_url: `${gateway.base}/v2/requests/${id}` },
  });
});

test("there is none before the outcome, none without a webhook, and none of an outcome that was not asked for", async () => {
  const waiting = await submit();
  for (const id of [waiting, await submit(""), "nothing", "00000000-0000-0000-0000-000000000000"]) {
    const answer = await gateway.call("GET", `${PATH}/${id}`);
    expect([answer.status, answer.headers["x-error-code"], answer.json()]).toEqual([
      404,
      "unknown_delivery",
      {
        error: `There is no webhook of request ${id}. One that asked for a webhook has it as soon as it is finished.`,
      },
    ]);
    expect((await gateway.call("POST", `${PATH}/${id}/redeliver`)).status).toBe(404);
  }
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  await finished(`?webhook=${HOOK}&webhook_events=failed`);
  expect((await list()).deliveries.map((one) => one["request_id"])).toEqual([waiting]);
});

test("a request that is cancelled, and one that is deleted before its end, have one", async () => {
  const cancelled = await submit();
  expect((await gateway.call("POST", `/v2/requests/${cancelled}/cancel`)).status).toBe(200);
  const deleted = await submit(`?webhook=${HOOK}&webhook_body=thin`);
  expect((await gateway.call("DELETE", `/v2/requests/${deleted}`)).status).toBe(204);
  for (const id of [cancelled, deleted]) {
    const { event, state, body } = await look(id);
    expect([event, state]).toEqual(["request.failed", "pending"]);
    expect(JSON.parse(String(body))).toMatchObject({
      type: "request.failed",
      data: { request_id: id, status: "FAILED", error_code: "cancelled" },
    });
  }
});

test("it outlives its request while it is not delivered", async () => {
  const [given, delivered] = [await finished(), await finished()];
  await mark(given, "failed", 410);
  await mark(delivered, "delivered", 200);
  for (const id of [given, delivered]) await gateway.call("DELETE", `/v2/requests/${id}`);
  expect((await gateway.call("GET", `/v2/requests/${given}`)).status).toBe(404);
  expect(await look(given)).toMatchObject({ state: "failed", next_try_at: null });
  expect((await gateway.call("GET", `${PATH}/${delivered}`)).status).toBe(404);
});

test("it is sent again when that is asked for: now, with the same id, whatever became of it", async () => {
  const id = await finished();
  await mark(id, "failed", null);
  gateway.clock.advance(60_000);
  const due: string[] = [];
  using _ = { [Symbol.dispose]: gateway.deliveries.onDue((one) => due.push(one)) };
  // Some clients send a body with every POST.
  const answer = await gateway.call("POST", `${PATH}/${id}/redeliver`, "no JSON at all");
  const [listed] = (await list("?limit=1")).deliveries;
  expect([answer.status, answer.json()]).toEqual([200, listed]);
  expect(listed).toMatchObject({
    request_id: id,
    state: "pending",
    next_try_at: new Date(gateway.clock.now()).toISOString(),
  });
  expect(due).toEqual([id]);
  await mark(id, "delivered", 204);
  expect(await look(id)).toMatchObject({ state: "delivered", tries: 2, next_try_at: null });
  expect((await gateway.call("POST", `${PATH}/${id}/redeliver`)).json()).toMatchObject({ state: "pending" });
});

test("nobody sees or sends another owner's; another key of the same owner does", async () => {
  const id = await finished();
  const other = await finished(`?webhook=${HOOK}`, { "x-api-key": OTHER_KEY });
  expect((await list("", OTHER_KEY)).deliveries.map((one) => one["request_id"])).toEqual([other]);
  expect((await list("", ADMIN_KEY)).deliveries.map((one) => one["request_id"])).toEqual([id]);
  for (const [method, path] of [
    ["GET", `${PATH}/${other}`] as const,
    ["POST", `${PATH}/${other}/redeliver`] as const,
  ]) {
    const refused = await gateway.call(method, path);
    expect([refused.status, refused.headers["x-error-code"]]).toEqual([404, "unknown_delivery"]);
    expect((await send(gateway.port, method, path, {})).headers["x-error-code"]).toBe("missing_key");
  }
  expect((await gateway.deliveries.get(other))!.tries).toBe(0);
});

test("the list goes page by page, those of the newest requests first, of one state if that is asked for", async () => {
  const all: string[] = [];
  for (let one = 0; one < 5; one += 1) all.unshift(await finished());
  await mark(all[1]!, "failed", 410);
  await mark(all[3]!, "delivered", 200);
  const walk = async (query: string): Promise<string[][]> => {
    const pages: string[][] = [];
    for (let path: string | undefined = `${PATH}?${query}`; path !== undefined;) {
      const answer = await gateway.call("GET", path);
      const { deliveries, next_cursor: next } = answer.json() as { deliveries: Body[]; next_cursor: string | null };
      pages.push(deliveries.map((one) => String(one["request_id"])));
      const { link } = answer.headers;
      path = /^<(.*)>; rel="next"$/.exec(String(link))?.[1]?.replace(gateway.base, "");
      expect(path === undefined).toBe(next === null);
      if (next !== null) expect(path).toContain(`cursor=${next}`);
    }
    return pages;
  };
  expect(await walk("limit=2")).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4)]);
  expect(await walk("state=pending&limit=2")).toEqual([[all[0], all[2]], [all[4]]]);
  expect((await walk("state=failed")).flat()).toEqual([all[1]]);
  expect((await walk("state=delivered")).flat()).toEqual([all[3]]);
});

test.each([
  ["?status=COMPLETED", 'There is no query parameter "status" here. There are state, limit, cursor.'],
  ["?state=sent", 'state must be one of pending, delivered, failed, got "sent".'],
  ["?state=failed&state=pending", "state must be given once."],
  ["?limit=1000", 'limit must be a whole number from 1 to 200, got "1000".'],
  ["?cursor=abc", 'cursor must be the next_cursor of the page before, got "abc".'],
])("%s is refused", async (query, sentence) => {
  const answer = await gateway.call("GET", PATH + query);
  expect([answer.status, answer.json()]).toEqual([400, { error: sentence }]);
});

test("the request's timeline tells the tries, and what came of them", async () => {
  const id = await finished();
  const events = async (): Promise<unknown[]> => {
    const answer = await gateway.call("GET", `/v2/requests/${id}/timeline`);
    return (answer.json()["events"] as Body[]).filter(({ event }) => String(event).startsWith("webhook"));
  };
  expect(await events()).toEqual([]);
  await mark(id, "retry", 503);
  const first = {
    at: "2026-09-21T14:13:21.000Z",
    event: "webhook_attempt_failed",
    http_status: 503,
    error: "It answered 503.",
  };
  expect(await events()).toEqual([{ ...first, next_try_at: "2026-09-21T14:13:26.000Z" }]);
  gateway.clock.advance(5_000);
  await mark(id, "failed", null);
  const second = { at: "2026-09-21T14:13:26.000Z", event: "webhook_attempt_failed", http_status: null };
  const told = [
    first,
    { ...second, error: "It did not answer." },
    { at: "2026-09-21T14:13:26.000Z", event: "webhook_given_up" },
  ];
  expect(await events()).toEqual(told);
  await gateway.call("POST", `${PATH}/${id}/redeliver`);
  gateway.clock.advance(5_000);
  await mark(id, "delivered", 202);
  const delivered = { at: "2026-09-21T14:13:31.000Z", event: "webhook_delivered", http_status: 202 };
  expect(await events()).toEqual([...told.slice(0, 2), delivered]);
});
