/** Priority, times and lives that a client asks for; docs/guide/priority-and-deadlines.md. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Request } from "../../src/core/request.ts";
import { type Answer, type Gateway, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

type Headers = Record<string, string>;

/** The stored request that a submit with these headers makes, sent so that it takes the short way, or the long one. */
async function stored(headers: Headers, way: "short" | "long" | "sync" = "short"): Promise<Request> {
  const path = way === "sync" ? "/v1/words" : "/v2/words";
  const type = { "content-type": way === "short" ? "application/json" : "application/json; charset=utf-8" };
  const sent = gateway.call("POST", path, {}, { ...type, ...headers });
  if (way === "sync") await queued();
  else await sent;
  const { id } = await gateway.lease("words");
  const request = (await gateway.store.get(id))!;
  await gateway.call("POST", `/v2/requests/${id}/cancel`);
  await sent;
  return request;
}

function queued(): Promise<void> {
  return new Promise((resolve) => {
    const forget = gateway.store.onWake!(({ type }) => {
      if (type !== "queued") return;
      forget();
      resolve();
    });
  });
}

test.each(["short", "long", "sync"] as const)("what is asked for is what is stored (the %s way)", async (way) => {
  const now = gateway.clock.now();
  const headers = { "x-start-timeout": "30", "x-run-timeout": "1.5", "x-result-ttl": "7200", "x-priority": "high" };
  expect(await stored(headers, way)).toMatchObject({
    priority: 1,
    createdAt: now,
    startDeadline: now + 30_000,
    runTimeoutMs: 1_500,
    expiresAt: now + 7_200_000,
    keepMs: null,
    idempotencyKey: null,
    idempotencyDigest: null,
  });
  expect(await stored({ "x-priority": "low", "x-result-ttl": "0.5" }, way)).toMatchObject({
    priority: -1,
    expiresAt: now + 1_000, // lives below ten minutes are whole seconds
  });
});

test.each(["short", "long", "sync"] as const)("nothing asked for is as it ever was (the %s way)", async (way) => {
  const now = gateway.clock.now();
  const plain = { priority: 0, startDeadline: null, runTimeoutMs: null, expiresAt: now + 3_600_000, keepMs: null };
  expect(await stored({}, way)).toMatchObject(plain);
  expect(await stored({ "x-priority": "normal", "x-keep-until-read": "false" }, way)).toMatchObject(plain);
});

test("what is kept until it has been read lives as long as any may, and for its own life from then on", async () => {
  const now = gateway.clock.now();
  const expiresAt = now + 604_800_000;
  expect(await stored({ "x-keep-until-read": "true" })).toMatchObject({ expiresAt, keepMs: 3_600_000 });
  const headers = { "x-keep-until-read": "true", "x-result-ttl": "60", "x-start-timeout": "90000" };
  expect(await stored(headers)).toMatchObject({ expiresAt, keepMs: 60_000, startDeadline: now + 90_000_000 });
});

test("the limits are the operator's: the model's run, the longest life, the request's own", async () => {
  await using own = await startGateway({ resultTtlSeconds: 600, resultTtlLimitSeconds: 900 });
  const sentence = async (headers: Headers): Promise<string> => {
    const answer = await own.call("POST", "/v2/words", {}, headers);
    return answer.status === 200 ? "accepted" : String(answer.json()["error"]);
  };
  expect(await sentence({ "x-run-timeout": "600", "x-result-ttl": "900", "x-start-timeout": "900" })).toBe("accepted");
  expect(await sentence({ "x-run-timeout": "600.5" })).toBe(
    'X-Run-Timeout must be at most 600 seconds, the limit of words, got "600.5".',
  );
  expect(await sentence({ "x-result-ttl": "901" })).toBe(
    'X-Result-TTL must be at most 900 seconds, the longest life of a result here, got "901".',
  );
  expect(await sentence({ "x-start-timeout": "601" })).toBe(
    `X-Start-Timeout must be at most 600 seconds, the request's life, got "601".`,
  );
  expect(await sentence({ "x-start-timeout": "601", "x-keep-until-read": "true" })).toBe("accepted");
});

test("an operator whose usual life is longer than the limit allows it to those who ask, too", async () => {
  await using own = await startGateway({ resultTtlSeconds: 900, resultTtlLimitSeconds: 600 });
  expect((await own.call("POST", "/v2/words", {}, { "x-result-ttl": "900" })).status).toBe(200);
  expect((await own.call("POST", "/v2/words", {}, { "x-result-ttl": "901" })).status).toBe(400);
});

test.each([
  [{ "x-priority": "urgent" }, 'X-Priority must be low, normal or high, got "urgent".'],
  [{ "x-priority": "" }, 'X-Priority must be low, normal or high, got "".'],
  [{ "x-priority": "1" }, 'X-Priority must be low, normal or high, got "1".'],
  [{ "x-keep-until-read": "yes" }, 'X-Keep-Until-Read must be true or false, got "yes".'],
  ...["0", "-1", "1e3", "ten", "", "0x10", "Infinity", "30s", "1,5", "0.0"].map((text): [Headers, string] => [
    { "x-start-timeout": text },
    `X-Start-Timeout must be a number of seconds above 0, such as 30 or 0.5, got "${text}".`,
  ]),
  [
    { "x-result-ttl": "9".repeat(50) },
    `X-Result-TTL must be a number of seconds above 0, such as 30 or 0.5, got "${"9".repeat(40)}…".`,
  ],
  [
    { "x-run-timeout": "tr\u00e8s" },
    'X-Run-Timeout must be a number of seconds above 0, such as 30 or 0.5, got "tr??s".',
  ],
])("%j is refused", async (headers, sentence) => {
  for (const path of ["/v2/words", "/v1/words", "/v2/words?wait=1"]) {
    const answer = await gateway.call("POST", path, {}, headers);
    expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
    expect(answer.json()).toEqual({ error: sentence });
  }
});

test("of several faults the first is told: key, model, content type, options, size, body", async () => {
  const size = String(65 * 1024 * 1024);
  const faults: Headers = { "x-priority": "urgent", "content-type": "text/plain", "x-api-key": "none" };
  const code = async (path: string, headers: Headers): Promise<unknown> =>
    (await gateway.call("POST", path, "{", headers)).headers["x-error-code"];
  expect(await code("/v2/nothing", faults)).toBe("invalid_key");
  delete faults["x-api-key"];
  expect(await code("/v2/nothing", faults)).toBe("unknown_model");
  expect(await code("/v2/words", faults)).toBe("wrong_content_type");
  delete faults["content-type"];
  expect(await code("/v2/words", { ...faults, "content-length": size })).toBe("bad_request");
  delete faults["x-priority"];
  expect(await code("/v2/words", { ...faults, "content-length": size })).toBe("body_too_large");
  expect(await code("/v2/words", faults)).toBe("malformed_json");
});

test("a file lives as long as its request, and so does its use as an input", async () => {
  const look = async (key: string): Promise<Answer> => await gateway.call("GET", `/files/${key}`);
  const use = async (key: string): Promise<number> =>
    (await gateway.call("POST", "/v2/picture", { prompt: "x", image: `${gateway.base}/files/${key}` })).status;
  const made = async (headers: Headers): Promise<string> => {
    const { id } = await stored(headers);
    return (await gateway.artifact(id, "output.gif", "image/gif", GIF)).key;
  };
  const [short, long] = [await made({ "x-result-ttl": "60" }), await made({ "x-result-ttl": "7200" })];
  expect((await look(short)).headers["cache-control"]).toBe("private, max-age=60, immutable");
  // Not for two hours: had it been kept until it was read, its end could come nearer.
  expect((await look(long)).headers["cache-control"]).toBe("private, max-age=3600, immutable");

  gateway.clock.advance(60_000);
  expect([(await look(short)).status, await use(short)]).toEqual([404, 422]);
  gateway.clock.advance(7_139_999);
  expect([(await look(long)).status, await use(long)]).toEqual([200, 200]);
  gateway.clock.advance(1);
  expect([(await look(long)).status, await use(long)]).toEqual([404, 422]);
});

/** One grey pixel. */
const GIF = Buffer.from("R0lGODlhAQABAIAAAISEhAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==", "base64");

test("the OpenAPI document and the page for people name them for every path that takes a submit", async () => {
  const document = (await gateway.call("GET", "/openapi.json")).json() as {
    paths: Record<string, { post?: { operationId: string; parameters?: { $ref: string }[] } }>;
    components: { parameters: Record<string, { name: string; in: string }> };
  };
  const submits = Object.values(document.paths).filter(({ post }) => /^(?:submit|run)-/.test(post?.operationId ?? ""));
  expect(submits).toHaveLength(9); // four models, an alias of one, on V2; the four on V1
  for (const { post } of submits) {
    const named = post!.parameters!.map(({ $ref }) => document.components.parameters[$ref.split("/").at(-1)!]!);
    expect(named.filter(({ in: place }) => place === "header").map(({ name }) => name)).toEqual(
      expect.arrayContaining(HEADERS),
    );
  }
  const page = (await gateway.call("GET", "/docs")).text;
  for (const name of HEADERS) expect(page).toContain(`<code>${name}</code>`);
});

const HEADERS = [
  "Idempotency-Key",
  "X-Priority",
  "X-Start-Timeout",
  "X-Run-Timeout",
  "X-Result-TTL",
  "X-Keep-Until-Read",
];
