/** Browsers cannot send a key with an EventSource: the URL in a submit's Link has a token for this one request's events. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventTokens } from "../../src/gateway/event-token.ts";
import { follow, type Following } from "./event-client.ts";
import { type Answer, type Gateway, ID_SECRET, KEY, OTHER_KEY, send, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
});

async function open(path: string, headers: Record<string, string> = {}): Promise<Following> {
  return await follow(gateway.port, path, headers);
}

/** The path and query of the events in an answer's Link header. */
function eventsOf(answer: Pick<Answer, "headers">): string {
  const [, url] = /<([^>]*)>; rel="events"/.exec(String(answer.headers["link"])) ?? [];
  if (url === undefined) throw new Error(`No link to events in ${String(answer.headers["link"])}`);
  expect(url.startsWith(`${gateway.base}/v2/requests/`)).toBe(true);
  return url.slice(gateway.base.length);
}

async function refusedWith(path: string, headers: Record<string, string> = {}): Promise<unknown> {
  const { status, headers: got } = await send(gateway.port, "GET", path, headers);
  return [status, got["x-error-code"]];
}

test("every answer to a submit leads to the events of its request and to its cancel", async () => {
  const json = { "content-type": "application/json" };
  const form = "--x\r\ncontent-disposition: form-data; name=prompt\r\n\r\ny\r\n--x--\r\n";
  const plain = await gateway.call("POST", "/v2/words", {}, { "idempotency-key": "one" });
  const replayed = await gateway.call("POST", "/v2/words", {}, { "idempotency-key": "one" });
  const routed = await gateway.call("POST", "/v2/words", form, { "content-type": "multipart/form-data; boundary=x" });
  const browser = await gateway.call("POST", "/v2/words", "{}", { ...json, origin: "https://app.example" });
  const waiting = gateway.call("POST", "/v2/words?wait=30", {});
  const listed = async () => (await gateway.call("GET", "/v2/requests")).json()["requests"] as unknown[];
  while ((await listed()).length < 4);
  for (let left = 4; left > 0; left--) await gateway.complete("words", { kind: "text", text: "", reasoning: null });
  const id = String(plain.json()["request_id"]);
  const retried = await gateway.call("POST", `/v2/requests/${id}/retry`);

  for (const answer of [plain, replayed, routed, browser, await waiting, retried]) {
    expect(answer.status).toBe(200);
    const about = String(answer.json()["request_id"]);
    expect(answer.headers["link"]).toContain(`<${gateway.base}/v2/requests/${about}/cancel>; rel="cancel"`);
    const stream = await open(eventsOf(answer));
    expect((await stream.next()).data["request_id"]).toBe(about);
  }
});

test("a token is good for an hour, and a stream that it has opened goes on", async () => {
  const answer = await gateway.call("POST", "/v2/words", {}, { "x-result-ttl": "100000" });
  const path = eventsOf(answer);
  gateway.clock.advance(3_599_000);
  const stream = await open(path);
  expect((await stream.next()).data["status"]).toBe("QUEUED");
  gateway.clock.advance(2_000);
  // However often its page comes again: that guesses nothing, and keeps nobody else at its address out.
  for (let calls = 0; calls < 30; calls += 1) expect(await refusedWith(path)).toEqual([401, "invalid_token"]);
  await gateway.lease("words");
  expect((await stream.next()).data["status"]).toBe("PROCESSING");

  // Whoever has a key gets a new one.
  const id = String(answer.json()["request_id"]);
  for (const method of ["HEAD", "GET"]) {
    const fresh = await follow(gateway.port, `/v2/requests/${id}/events`, { "x-api-key": KEY, "x-method": method });
    expect((await (await open(eventsOf(fresh))).next()).data["status"]).toBe("PROCESSING");
  }
});

test("it opens this request's events, and nothing else", async () => {
  const path = eventsOf(await gateway.call("POST", "/v2/words", {}));
  const other = String((await gateway.call("POST", "/v2/words", {})).json()["request_id"]);
  const [, id, token] = /requests\/([^/]+)\/events\?token=(.+)$/.exec(path)!;
  const wrong = token!.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  const later = token!.replace(/^[^.]+/, (until) => (Number.parseInt(until, 36) + 1).toString(36));
  for (const bad of [wrong, later, "", "x", `${token}x`, `${token}&token=${token}`, token!.toUpperCase(), "%00"]) {
    expect(await refusedWith(`/v2/requests/${id}/events?token=${bad}`), bad).toEqual([401, "invalid_token"]);
  }
  expect(await refusedWith(`/v2/requests/${other}/events?token=${token}`)).toEqual([401, "invalid_token"]);
  expect(await refusedWith(`/v2/requests/none/events?token=${token}`)).toEqual([401, "invalid_token"]);
  for (const elsewhere of ["/status", "", "/timeline"]) {
    expect(await refusedWith(`/v2/requests/${id}${elsewhere}?token=${token}`)).toEqual([401, "missing_key"]);
  }
  const cancel = await send(gateway.port, "POST", `/v2/requests/${id}/cancel?token=${token}`, {});
  expect([cancel.status, cancel.headers["x-error-code"]]).toEqual([401, "missing_key"]);
});

test("a key in the headers counts, not the token beside it; a key in the URL is none", async () => {
  const path = eventsOf(await gateway.call("POST", "/v2/words", {}));
  const bare = path.split("?")[0]!;
  expect(await refusedWith(path, { "x-api-key": OTHER_KEY })).toEqual([404, "unknown"]);
  expect(await refusedWith(path, { authorization: "Bearer sg_nobody" })).toEqual([401, "invalid_key"]);
  for (const query of [`api_key=${KEY}`, `key=${KEY}`, `x-api-key=${KEY}`, `token=${KEY}`]) {
    const expected = query.startsWith("token") ? "invalid_token" : "missing_key";
    expect(await refusedWith(`${bare}?${query}`), query).toEqual([401, expected]);
  }
  expect(await refusedWith(bare)).toEqual([401, "missing_key"]);
  expect(await refusedWith(bare, { "x-api-key": OTHER_KEY })).toEqual([404, "unknown"]);
  expect((await (await open(`${bare}?token=x`, { "x-api-key": KEY })).next()).data["status"]).toBe("QUEUED");
});

test("of a request that is gone a good token tells so, and a bad one nothing", async () => {
  const answer = await gateway.call("POST", "/v2/words", {}, { "x-result-ttl": "600" });
  const path = eventsOf(answer);
  gateway.clock.advance(600_000);
  expect(await refusedWith(path)).toEqual([404, "expired"]);
  expect(await refusedWith(`${path.slice(0, -1)}!`)).toEqual([401, "invalid_token"]);

  const deleted = eventsOf(await gateway.call("POST", "/v2/words", {}));
  await gateway.call("DELETE", deleted.split("/events")[0]!);
  expect(await refusedWith(deleted)).toEqual([404, "unknown"]);
});

test("tokens of another server, or of none, are none", async () => {
  const { clock } = gateway;
  const id = await gateway.submit("words", {});
  const own = eventTokens(clock, ID_SECRET);
  const foreign = eventTokens(clock, ID_SECRET.replace("0", "1"));
  expect(own.judge(own.make(id), id)).toBe("good");
  expect(own.judge(foreign.make(id), id)).toBe("none");
  expect(own.make(id)).toMatch(/^[0-9a-z]+\.[A-Za-z0-9_-]{22}$/);
});

test("no token stands in the log", async () => {
  const path = eventsOf(await gateway.call("POST", "/v2/words", {}));
  const [, token] = path.split("token=");
  await (await open(path)).next();
  await refusedWith(`${path}x`);
  await refusedWith(path.replace("/events?", "/nothing?"));
  await send(gateway.port, "POST", path, {});
  gateway.clock.advance(3_600_000 * 2);
  await refusedWith(path);
  await gateway.close();
  expect(gateway.logs.join("")).toContain("request accepted");
  expect(gateway.logs.join("")).not.toContain(token!.slice(-22));
});

test("a page of an allowed origin reads the stream, and the Link that leads there", async () => {
  await using own = await startGateway({ corsOrigins: ["https://app.example"] });
  const origin = { origin: "https://app.example" };
  const answer = await own.call("POST", "/v2/words", {}, origin);
  expect(answer.headers["access-control-expose-headers"]).toMatch(/\blink\b/);
  const path = new URL(/<([^>]*)>/.exec(String(answer.headers["link"]))![1]!);
  using stream = await follow(own.port, path.pathname + path.search, origin);
  expect([stream.status, stream.headers["access-control-allow-origin"]]).toEqual([200, origin.origin]);
  using stranger = await follow(own.port, path.pathname + path.search, { origin: "https://evil.example" });
  expect(stranger.headers["access-control-allow-origin"]).toBeUndefined();
});

test("HEAD answers the head of the stream, and no stream", async () => {
  const answer = await gateway.call("POST", "/v2/words", {});
  const path = eventsOf(answer);
  const head = await send(gateway.port, "HEAD", path, {});
  expect([head.status, head.text]).toEqual([200, ""]);
  expect(head.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  const withKey = await send(gateway.port, "HEAD", path.split("?")[0]!, { "x-api-key": KEY });
  expect((await (await open(eventsOf(withKey))).next()).data["status"]).toBe("QUEUED");
});
