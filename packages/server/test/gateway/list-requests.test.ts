/** A caller lists its own requests: the newest first, filtered, page by page, whatever happens meanwhile. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { submissionMaker } from "../../src/testing/index.ts";
import { type Answer, type Gateway, KEY, OTHER_KEY, send, startGateway, TestClock } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

interface Page {
  readonly requests: readonly Record<string, unknown>[];
  readonly next_cursor: string | null;
}

async function page(query = ""): Promise<Page> {
  const answer = await gateway.call("GET", `/v2/requests${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json() as unknown as Page;
}

async function ids(query = ""): Promise<unknown[]> {
  return (await page(query)).requests.map((one) => one["request_id"]);
}

test("each request is shown with its state, its times and where to poll it", async () => {
  const failing = await gateway.submit("words", {});
  await gateway.fail("words", { code: "model_error", message: "No such word." });
  gateway.clock.advance(1_000);
  const waiting = await gateway.submit("picture", { prompt: "a rose" });
  expect(await page()).toEqual({
    requests: [
      {
        request_id: waiting,
        model: "picture",
        status: "QUEUED",
        created_at: "2026-09-21T14:13:21.003Z",
        started_at: null,
        finished_at: null,
        expires_at: "2026-09-21T15:13:21.003Z",
        priority: "normal",
        attempts: 0,
        error: null,
        error_code: null,
        idempotency_key: null,
        retry_of: null,
        status_url: `${gateway.base}/v2/requests/${waiting}/status`,
        response_url: `${gateway.base}/v2/requests/${waiting}`,
      },
      {
        request_id: failing,
        model: "words",
        status: "FAILED",
        created_at: "2026-09-21T14:13:20.000Z",
        started_at: "2026-09-21T14:13:20.000Z",
        finished_at: "2026-09-21T14:13:20.003Z",
        expires_at: "2026-09-21T15:13:20.000Z",
        priority: "normal",
        attempts: 1,
        error: "No such word.",
        error_code: "model_error",
        idempotency_key: null,
        retry_of: null,
        status_url: `${gateway.base}/v2/requests/${failing}/status`,
        response_url: `${gateway.base}/v2/requests/${failing}`,
      },
    ],
    next_cursor: null,
  });
});

test("nobody sees another owner's, and another key of the same owner sees them all", async () => {
  const id = await gateway.submit("words", {});
  const others = await gateway.call("GET", "/v2/requests", undefined, { "x-api-key": OTHER_KEY });
  expect(others.json()).toEqual({ requests: [], next_cursor: null });
  const same = await gateway.call("GET", "/v2/requests", undefined, { "x-api-key": "SG_00000000000admin" });
  expect(same.text).toContain(id);
  expect((await send(gateway.port, "GET", "/v2/requests", {})).headers["x-error-code"]).toBe("missing_key");
});

test("filters: by status, by model under any of its names, by time, by idempotency key", async () => {
  const submission = submissionMaker(gateway.clock);
  const done = await gateway.submit("picture", { prompt: "a rose" });
  await gateway.complete("picture", { kind: "image", files: [] }, 1_000);
  const word = await gateway.submit("words", {});
  gateway.clock.advance(1_000);
  const keyed = submission({ model: "picture", owner: "one", idempotencyKey: "order 7", idempotencyDigest: "d" });
  await gateway.store.enqueue(keyed);

  expect(await ids("?status=COMPLETED")).toEqual([done]);
  expect(await ids("?status=QUEUED")).toEqual([keyed.id, word]);
  expect(await ids("?model=words")).toEqual([word]);
  expect(await ids("?model=seedream-4.5")).toEqual([keyed.id, done]);
  expect(await ids("?model=served-no-more")).toEqual([]);
  expect(await ids("?idempotency_key=order%207")).toEqual([keyed.id]);
  expect(await ids("?idempotency_key=order%208")).toEqual([]);
  expect(await ids("?model=picture&status=QUEUED")).toEqual([keyed.id]);

  const [first, second, third] = (await page()).requests.map((one) => String(one["created_at"])).toReversed();
  expect(await ids(`?since=${second}`)).toEqual([keyed.id, word]);
  expect(await ids(`?until=${second}`)).toEqual([done]);
  expect(await ids(`?since=${first}&until=${third}`)).toEqual([word, done]);
  expect(await ids(`?since=${Date.parse(second!) / 1000}`)).toEqual([keyed.id, word]);
  expect(await ids("?since=2026-09-21")).toHaveLength(3);
  expect(await ids("?since=2026-09-21T16:13:21%2B02:00")).toEqual([keyed.id, word]);
  expect(await ids("?since=2026-09-21T16:13:21+02:00")).toEqual([keyed.id, word]); // pasted as it is
});

test.each([
  ["?colour=red", 'There is no query parameter "colour" here. There are status, model, since, until,'],
  ["?status=DONE", 'status must be one of QUEUED, PROCESSING, COMPLETED, FAILED, got "DONE".'],
  ["?status=queued", "status must be one of"],
  ["?status=QUEUED&status=FAILED", "status must be given once."],
  ["?limit=0", 'limit must be a whole number from 1 to 200, got "0".'],
  ["?limit=201", "limit must be"],
  ["?limit=1e2", "limit must be"],
  ["?since=yesterday", "since must be a time as ISO 8601 with its zone"],
  ["?since=2026-13-45", "since must be a time"],
  ["?since=2026-02-30", "since must be a time"],
  ["?since=2026-09-21T16:13:21", "with its zone"],
  ["?until=1790000000000", "Milliseconds must be divided by 1000."],
  ["?idempotency_key=", "idempotency_key must be 1 to 255 printable ASCII characters"],
  ["?idempotency_key=%C3%A9", "idempotency_key must be"],
  ["?cursor=abc", 'cursor must be the next_cursor of the page before, got "abc".'],
  ["?cursor=AAAAAAAAAAAAAAAAAAAAAA", "cursor must be"],
  [`?cursor=${"x".repeat(500)}`, "cursor must be"],
  ["?__proto__=1", "There is no query parameter"],
])("%s is refused with a sentence", async (query, sentence) => {
  const answer = await gateway.call("GET", `/v2/requests${query}`);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
  expect(answer.json()["error"]).toContain(sentence);
});

test("pages: the header and the body lead to the next one, with the same filters", async () => {
  const all: string[] = [];
  for (let i = 0; i < 5; i += 1) all.unshift(await gateway.submit(i === 2 ? "picture" : "words", { prompt: "x" }));
  const words = all.filter((_, i) => i !== 2);

  let url: string | undefined = `${gateway.base}/v2/requests?model=words&limit=3`;
  const walked: unknown[][] = [];
  while (url !== undefined) {
    const answer: Answer = await gateway.call("GET", url.slice(gateway.base.length));
    const { requests, next_cursor } = answer.json() as unknown as Page;
    walked.push(requests.map((one) => one["request_id"]));
    url = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers["link"]))?.[1];
    expect(url === undefined).toBe(next_cursor === null);
    if (url !== undefined) expect(new URL(url).searchParams.get("cursor")).toBe(next_cursor);
  }
  expect(walked).toEqual([words.slice(0, 3), words.slice(3)]);
});

test("walking the pages while others submit, finish and delete shows each that stays exactly once", async () => {
  const stay: string[] = [];
  const go: string[] = [];
  for (let i = 0; i < 30; i += 1) (i % 3 === 0 ? go : stay).unshift(await gateway.submit("words", {}));
  const seen: unknown[] = [];
  for (let cursor: string | null = "", step = 0; cursor !== null; step += 1) {
    const { requests, next_cursor } = await page(`?limit=4${cursor && `&cursor=${cursor}`}`);
    seen.push(...requests.map((one) => one["request_id"]));
    cursor = next_cursor;
    await gateway.submit("words", {});
    await gateway.complete("words", { kind: "text", text: "", reasoning: null }, 1);
    await gateway.call("DELETE", `/v2/requests/${step % 2 === 0 ? go.pop() : go.shift()}`);
    if (step === 2) await gateway.call("DELETE", `/v2/requests/${String(seen.at(-1))}`); // what the cursor stands on
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((id) => stay.includes(String(id)))).toEqual(stay);
});

/** A store that looks at so few rows at once, everybody's, that most of its answers are empty. */
function shortSighted(store: RequestStore, rows: number): RequestStore {
  const ids: string[] = [];
  return {
    ...store,
    async enqueue(submission) {
      ids.unshift(submission.id);
      return await store.enqueue(submission);
    },
    async list({ before, limit, ...filters }) {
      const start = before === undefined ? 0 : ids.findIndex((id) => id < before);
      const looked = ids.slice(start, start + rows);
      const { requests } = await store.list({ ...filters, limit: ids.length });
      const found = requests.filter(({ id }) => looked.includes(id));
      if (found.length > limit) return { requests: found.slice(0, limit), next: found[limit - 1]!.id };
      return { requests: found, next: start + rows < ids.length ? looked.at(-1)! : null };
    },
  };
}

test("a page is full although the store looks at a few rows at a time, and others are served meanwhile", async () => {
  const clock = new TestClock();
  const store = shortSighted(memoryStore({ clock }), 2);
  await using server = await startGateway({}, { clock, store });
  const submission = submissionMaker(clock);
  const rare: string[] = [];
  for (let i = 0; i < 100; i += 1) {
    const one = submission({ owner: "one", model: i % 10 === 0 ? "picture" : "words" });
    await store.enqueue(one);
    if (i % 10 === 0) rare.unshift(one.id);
  }
  const answer = await server.call("GET", "/v2/requests?model=picture&limit=4");
  const { requests, next_cursor } = answer.json() as unknown as Page;
  expect(requests.map((one) => one["request_id"])).toEqual(rare.slice(0, 4));
  const rest = await server.call("GET", `/v2/requests?model=picture&cursor=${next_cursor}`);
  expect((rest.json() as unknown as Page).requests.map((one) => one["request_id"])).toEqual(rare.slice(4));
});

test("a filter that nothing matches is given up after a while, and the cursor goes on", async () => {
  const clock = new TestClock();
  const store = shortSighted(memoryStore({ clock }), 1);
  await using server = await startGateway({}, { clock, store });
  const submission = submissionMaker(clock);
  const others = Array.from({ length: 250 }, () => submission({ owner: "two", model: "picture" }));
  for (const one of others) await store.enqueue(one);
  const told: string[] = [];
  let answers = 0;
  for (let cursor: string | null = ""; cursor !== null; answers += 1) {
    const answer = await server.call("GET", `/v2/requests?model=picture${cursor && `&cursor=${cursor}`}`);
    const found = answer.json() as unknown as Page;
    expect(found.requests).toEqual([]);
    if (found.next_cursor !== null) told.push(Buffer.from(found.next_cursor, "base64url").toString("hex"));
    cursor = found.next_cursor;
  }
  expect(answers).toBeGreaterThan(1);
  // Between the two pages lie another owner's requests, whose ids are nobody else's business.
  for (const { id } of others) expect(told).not.toContain(id.replaceAll("-", ""));
});

test("a span of time is found at once, however much was submitted after it or before", async () => {
  const clock = new TestClock();
  const store = shortSighted(memoryStore({ clock }), 1);
  await using server = await startGateway({}, { clock, store });
  const submission = submissionMaker(clock);
  const fill = async (count: number): Promise<string[]> => {
    const made: string[] = [];
    for (let i = 0; i < count; i += 1) {
      const one = submission({ owner: "one" });
      await store.enqueue(one);
      made.unshift(one.id);
    }
    return made;
  };
  await fill(200);
  clock.advance(20 * 60_000);
  const since = clock.now() / 1000;
  const wanted = await fill(3);
  clock.advance(20 * 60_000);
  const until = clock.now() / 1000;
  clock.advance(60_000);
  await fill(200);
  const answer = await server.call("GET", `/v2/requests?since=${since}&until=${until}`);
  const { requests, next_cursor } = answer.json() as unknown as Page;
  expect(requests.map((one) => one["request_id"])).toEqual(wanted);
  expect(next_cursor).toBeNull();
});

test("/v2/requests is a path of its own, and no model", async () => {
  const posted = await gateway.call("POST", "/v2/requests", {});
  expect([posted.status, posted.headers["allow"]]).toEqual([405, "GET, HEAD"]);
  const options = await send(gateway.port, "OPTIONS", "/v2/requests?limit=1", {});
  expect([options.status, options.headers["allow"]]).toEqual([204, "GET, HEAD, OPTIONS"]);
  const head = await gateway.call("HEAD", "/v2/requests?limit=1");
  expect([head.status, head.text, head.headers["content-type"]]).toEqual([200, "", "application/json; charset=utf-8"]);
  expect((await send(gateway.port, "HEAD", "/v2/requests", { "x-api-key": KEY })).headers["cache-control"]).toBe(
    "no-store",
  );
});
