/** Requests that used up their attempts: their owner and the operator list them, look at them, run them once more. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ADMIN_KEY, type Answer, apiKey, type Gateway, KEY, OTHER_KEY, startGateway } from "./harness.ts";

const PATH = "/v2/dead-letters";
/** Of an owner that has no request of its own. */
const OPERATOR = { "x-api-key": ADMIN_KEY };
const OTHER = { "x-api-key": OTHER_KEY };

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway(
    {},
    { staticKeys: [apiKey("one", KEY, false), apiKey("two", OTHER_KEY, false), apiKey("root", ADMIN_KEY, true)] },
  );
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

type Body = Record<string, unknown>;
const CRASHED = { code: "runner_crashed", message: "The model's process died." } as const;

/** Crashes the request that waits until its tries are used up. */
async function dies(model: string): Promise<void> {
  for (let tries = 0; tries < 3; tries++) {
    const { id, token } = await gateway.lease(model);
    gateway.clock.advance(1_000);
    await gateway.store.settle(id, token, { type: "fail", kind: "crash", failure: CRASHED, inferenceMs: 1_000 });
    gateway.clock.advance(5_000);
  }
}

async function dead(model = "words", input: object = {}, headers: Record<string, string> = {}): Promise<string> {
  const answer = await gateway.call("POST", `/v2/${model}`, input, headers);
  await dies(model);
  return String(answer.json()["request_id"]);
}

async function list(query = "", headers = {}): Promise<{ dead_letters: Body[]; next_cursor: string | null }> {
  const answer = await gateway.call("GET", PATH + query, undefined, headers);
  expect(answer.status, answer.text).toBe(200);
  return answer.json() as { dead_letters: Body[]; next_cursor: string | null };
}

async function ids(query = "", headers = {}): Promise<unknown[]> {
  return (await list(query, headers)).dead_letters.map((one) => one["request_id"]);
}

function replay(id: string, headers: Record<string, string> = {}): Promise<Answer> {
  return gateway.call("POST", `${PATH}/${id}/replay`, undefined, headers);
}

function codeOf(answer: Answer): unknown[] {
  return [answer.status, answer.headers["x-error-code"]];
}

test("the owner sees its own, with each attempt and its input", async () => {
  const id = await dead("picture", { prompt: "poison" });
  await gateway.submit("words", {});
  await gateway.fail("words", { code: "model_error", message: "No." });
  await dead("words", {}, OTHER);
  const about = {
    request_id: id,
    model: "picture",
    created_at: "2026-09-21T14:13:20.000Z",
    finished_at: "2026-09-21T14:13:33.000Z",
    expires_at: "2026-09-21T15:13:20.000Z",
    attempts: 3,
    crashes: 3,
    error: "The model's process died.",
    error_code: "runner_crashed",
    replayed: false,
  };
  expect(await list()).toEqual({ dead_letters: [about], next_cursor: null });

  const answer = await gateway.call("GET", `${PATH}/${id}`);
  const attempt = { worker: "test", error: CRASHED.message, error_code: CRASHED.code };
  expect(answer.json()).toEqual({
    ...about,
    retry_of: null,
    webhook: null,
    history: [
      { attempt: 1, started_at: "2026-09-21T14:13:20.000Z", ended_at: "2026-09-21T14:13:21.000Z", ...attempt },
      { attempt: 2, started_at: "2026-09-21T14:13:26.000Z", ended_at: "2026-09-21T14:13:27.000Z", ...attempt },
      { attempt: 3, started_at: "2026-09-21T14:13:32.000Z", ended_at: "2026-09-21T14:13:33.000Z", ...attempt },
    ],
    input: { prompt: "poison", seed: -1 },
  });
});

test("the operator sees everybody's, and whose they are", async () => {
  const [first, second, third] = [await dead(), await dead("words", {}, OTHER), await dead("film")];
  expect(await ids("", OPERATOR)).toEqual([third, second, first]);
  expect(await ids("?model=words", OPERATOR)).toEqual([second, first]);
  const { dead_letters: letters } = await list("?limit=2", OPERATOR);
  expect(letters.map((one) => [one["owner"], one["key"]])).toEqual([
    ["one", "one"],
    ["two", "two"],
  ]);
  expect((await gateway.call("GET", `${PATH}/${second}`, undefined, OPERATOR)).json()).toMatchObject({ owner: "two" });
  expect(await ids("", OTHER)).toEqual([second]);
});

test("pages lead to one another by Link and next_cursor", async () => {
  const made = [await dead(), await dead(), await dead()];
  const first = await gateway.call("GET", `${PATH}?limit=2&model=words`);
  const { dead_letters: letters, next_cursor: cursor } = first.json() as Awaited<ReturnType<typeof list>>;
  expect(letters.map((one) => one["request_id"])).toEqual([made[2], made[1]]);
  const [, next] = /^<http:\/\/127\.0\.0\.1:\d+(.*)>; rel="next"$/.exec(String(first.headers["link"]))!;
  expect(next).toBe(`${PATH}?limit=2&model=words&cursor=${cursor}`);
  expect((await gateway.call("GET", next!)).json()).toMatchObject({ dead_letters: [{ request_id: made[0] }], next_cursor: null }); // prettier-ignore
});

test("a replay is a new request with the old one's input and options, and each makes another", async () => {
  const id = await dead("picture", { prompt: "a rose" }, { "x-priority": "high", "x-run-timeout": "5" });
  const answer = await replay(id);
  const made = String(answer.json()["request_id"]);
  const { base } = gateway;
  expect(answer.text).toBe(
    `{"request_id":"${made}","status":"QUEUED","poll_url":"${base}/v1/requests/${made}",` +
      `"status_url":"${base}/v2/requests/${made}/status","response_url":"${base}/v2/requests/${made}","retry_of":"${id}"}`,
  );
  expect(await gateway.store.get(made)).toMatchObject({ priority: 1, runTimeoutMs: 5_000, retryOf: id, key: "one" });
  const again = String((await replay(id)).json()["request_id"]);
  expect(again).not.toBe(made);
  expect(await ids("?replayed=true")).toEqual([id]);
  expect(await ids("?replayed=false")).toEqual([]);
});

test("a retry of a dead letter counts as a replay too", async () => {
  const id = await dead();
  await gateway.call("POST", `/v2/requests/${id}/retry`);
  expect((await list()).dead_letters).toMatchObject([{ request_id: id, replayed: true }]);
});

test("under the same Idempotency-Key the same replay runs once", async () => {
  const [id, other] = [await dead(), await dead()];
  const key = { "idempotency-key": "again-1" };
  const first = await replay(id, key);
  const second = await replay(id, key);
  expect(second.text).toBe(first.text);
  expect(second.headers["idempotent-replayed"]).toBe("true");
  expect(codeOf(await replay(other, key))).toEqual([409, "idempotency_conflict"]);
  await gateway.call("DELETE", `/v2/requests/${id}`);
  expect((await replay(id, key)).text).toBe(first.text);
});

test("two operators who replay all that is open run each once", async () => {
  const id = await dead();
  const both = await Promise.all([gateway.replay(id, true), gateway.replay(id, true)]);
  expect(both).toEqual([expect.any(String), undefined]);
  expect(await gateway.replay(id, true)).toBeUndefined();
  expect(await gateway.replay(id, false)).toEqual(expect.any(String));
});

test("the operator's replay is its owner's request, and tells the owner's webhook", async () => {
  await using open = await startGateway(
    { allowPrivateWebhooks: true, keyRequestsInFlight: 1 },
    { staticKeys: [apiKey("one", KEY, false), apiKey("root", ADMIN_KEY, true)] },
  );
  gateway = open;
  const hook = "http://127.0.0.1:9/hook";
  const submitted = await open.call("POST", `/v2/words?webhook=${hook}`, {});
  const id = String(submitted.json()["request_id"]);
  await dies("words");
  await open.submit("words", {}); // as many as its key may have
  const answer = await replay(id, OPERATOR);
  expect(answer.status, answer.text).toBe(200);
  const made = await open.store.get(String(answer.json()["request_id"]));
  expect(made).toMatchObject({ owner: "one", key: "one", webhook: { url: hook }, publicBase: open.base, retryOf: id });
  expect(open.logs.join("")).toContain(`"by":"root","msg":"dead letter replayed"`);
});

test("what is none, or another's, is not found", async () => {
  const theirs = await dead("words", {}, OTHER);
  const waiting = await gateway.submit("words", {});
  for (const id of [theirs, waiting, "01970000-0000-7000-8000-000000000000", "x"]) {
    expect(codeOf(await gateway.call("GET", `${PATH}/${id}`))).toEqual([404, "unknown_dead_letter"]);
    expect(codeOf(await replay(id))).toEqual([404, "unknown_dead_letter"]);
  }
  expect(codeOf(await replay(waiting, OPERATOR))).toEqual([404, "unknown_dead_letter"]);
});

test("each faulty query is answered with what was expected", async () => {
  const sentence = async (query: string): Promise<unknown> => (await gateway.call("GET", PATH + query)).json()["error"];
  expect(await sentence("?replayed=yes")).toBe('replayed must be true or false, got "yes".');
  expect(await sentence("?owner=two")).toBe(
    'There is no query parameter "owner" here. There are model, replayed, limit, cursor.',
  );
  expect(await sentence("?limit=0")).toBe('limit must be a whole number from 1 to 200, got "0".');
});

test("an input that is larger than a megabyte is left out, one in a file is not", async () => {
  const large = await dead("picture", { prompt: "x".repeat(1_100_000) });
  expect((await gateway.call("GET", `${PATH}/${large}`)).json()).toMatchObject({ input: null, attempts: 3 });
  const prompt = "x".repeat(100_000);
  const filed = await dead("picture", { prompt });
  expect((await gateway.call("GET", `${PATH}/${filed}`)).json()).toMatchObject({ input: { prompt } });
});
