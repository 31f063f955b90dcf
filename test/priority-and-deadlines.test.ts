/** docs/guide/priority-and-deadlines.md on a real server: each of its commands, and what its limits do. */
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import { idTime } from "../packages/server/src/core/ids.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/priority-and-deadlines.md";
const OTHER_KEY = "sg_fedcba9876543210";
const TTL_MS = 3_600_000;
const WEEK_MS = 604_800_000;

type Body = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- a body of the wire

let server: RealServer;
beforeAll(async () => {
  const env = { INFERQ_API_KEYS: `test=${KEY},other=${OTHER_KEY}` };
  server = await realServer({ config: "test/one-at-a-time.config.ts", env });
  await server.ready();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Pastes the page's command with this header; answers the id. */
async function pasted({ skip }: TestContext, header: string): Promise<string> {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const body = JSON.parse(await paste(blockWith(PAGE, header, "sh"), server, ROOT)) as Body;
  return body["request_id"] as string;
}

async function submit(headers: Record<string, string>, input: object = { kind: "text" }): Promise<string> {
  const answer = await server.fetch("/v2/mock-inference", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(input),
  });
  return ((await answer.json()) as Body)["request_id"] as string;
}

async function listed(id: string): Promise<Body> {
  const { requests } = (await (await server.fetch("/v2/requests?limit=200")).json()) as { requests: Body[] };
  return requests.find((one) => one["request_id"] === id)!;
}

/** ms that `id` lives from its submit on: when its id was made, for it is stored a moment later. */
async function life(id: string): Promise<number> {
  return Date.parse((await listed(id))["expires_at"] as string) - idTime(id);
}

test("priority: the high one runs before those that came before it, and the low one after them", async (context) => {
  const busy = await running(); // the model's first lease: the eighth would be the oldest one's
  const low = await submit({ "x-priority": "low" });
  const normal = await submit({});
  const high = await pasted(context, "x-priority: high");
  await server.fetch(`/v2/requests/${busy}/cancel`, { method: "POST" });
  const started: [string, string][] = [];
  for (const id of [low, normal, high]) {
    expect(await server.result(id)).toMatchObject({ status: "COMPLETED" });
    started.push([String((await listed(id))["started_at"]), id]);
  }
  expect(started.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, id]) => id)).toEqual([high, normal, low]);
});

test("sharing: a single request of another key is the next, and not behind all that wait", async () => {
  const busy = await running();
  const flood = [await submit({}), await submit({}), await submit({})];
  const single = await submit({ "x-api-key": OTHER_KEY });
  const status = await server.fetch(`/v2/requests/${single}/status`, { headers: { "x-api-key": OTHER_KEY } });
  expect(status.headers.get("x-queue-position")).toBe("1");
  await server.fetch(`/v2/requests/${busy}/cancel`, { method: "POST" });
  const started = async (id: string, key: string): Promise<string> => {
    const headers = { "x-api-key": key };
    for (;;) {
      const answer = await server.fetch(`/v2/requests/${id}/timeline`, { headers });
      const { events } = (await answer.json()) as { events: { event: string; at: string }[] };
      const lease = events.find(({ event }) => event === "leased");
      if (lease !== undefined) return lease.at;
    }
  };
  const first = await started(single, OTHER_KEY);
  for (const id of flood) expect((await started(id, KEY)) >= first).toBe(true);
});

test("deadlines: a run longer than its limit is stopped, and the answer is the page's", async (context) => {
  const id = await pasted(context, "x-run-timeout: 0.5");
  const result = await server.result(id);
  const shown = JSON.parse(blockWith(PAGE, "ran longer", "json")) as Body;
  expect(result).toMatchObject({ status: "FAILED", error: shown["error"] });
  expect(Object.keys(result)).toEqual(Object.keys(shown));
  expect((await server.fetch(`/v2/requests/${id}`)).headers.get("x-error-code")).toBe("run_timeout");
});

test("deadlines: what no worker has taken up in time fails", async () => {
  const busy = await running();
  const late = await submit({ "x-start-timeout": "0.2" });
  expect(await server.result(late)).toMatchObject({
    status: "FAILED",
    error: "No worker was free before the time the request was to start by.",
  });
  expect((await server.fetch(`/v2/requests/${late}`)).headers.get("x-error-code")).toBe("start_timeout");
  await server.fetch(`/v2/requests/${busy}/cancel`, { method: "POST" });
});

test("lives: as long as was asked for, in whole seconds, and then the request has expired", async (context) => {
  expect(await life(await pasted(context, "x-result-ttl: 86400"))).toBe(86_400_000);
  expect(await life(await submit({}))).toBe(TTL_MS);
  expect(await life(await submit({ "x-result-ttl": "99.5" }))).toBe(100_000);

  const short = await submit({ "x-result-ttl": "0.5" });
  const look = (): Promise<Response> => server.fetch(`/v2/requests/${short}/status`);
  while ((await look()).status !== 404);
  expect((await look()).headers.get("x-error-code")).toBe("expired");
});

test("kept until it has been read: a week, and an hour from the reading on", async (context) => {
  const id = await pasted(context, "x-keep-until-read: true");
  let status = "QUEUED";
  while (status !== "COMPLETED") {
    ({ status } = (await (await server.fetch(`/v2/requests/${id}/status`)).json()) as { status: string });
  }
  expect(await life(id)).toBe(WEEK_MS);
  expect(await server.result(id)).toMatchObject({ status: "COMPLETED" });
  while ((await life(id)) === WEEK_MS); // the answer does not wait for the write
  expect(await life(id)).toBeGreaterThanOrEqual(TTL_MS);
  expect(await life(id)).toBeLessThan(2 * TTL_MS);
});

/** A request that runs until it is cancelled, and has the model's only place. */
async function running(headers: Record<string, string> = {}): Promise<string> {
  const id = await submit(headers, { sleep: 600, kind: "text" });
  for (;;) {
    const answer = await server.fetch(`/v2/requests/${id}/status`);
    if (((await answer.json()) as Body)["status"] === "PROCESSING") return id;
  }
}
