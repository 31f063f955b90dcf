/** Data directories that older versions left, in use or stopped, in every state: today's server goes on with them, and they with no older one. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { inferq } from "./command-line.ts";
import {
  copyOf,
  dataDirectories,
  type Facts,
  HOOK_PORT,
  type KnownFile,
  type KnownRequest,
} from "./data-directories/facts.ts";
import { ROOT } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const CONFIG = "test/data-directories/config.ts";
const FOX = "The quick brown fox jumps over the lazy dog.";
const WEBHOOKS_SINCE = 3;
const CANCEL_SINCE = 2;

const DAY = 24 * 3_600_000;

/** Today's server, as if it had been started `laterMs` after the older one stopped; without it, before anything that was left has expired. */
function serverOn(directory: string, { leftAt }: Facts, laterMs = 10_000): Promise<RealServer> {
  const shifted = pathToFileURL(join(ROOT, "test/data-directories/at-another-time.ts")).href;
  const time = { NODE_OPTIONS: `--import=${shifted}`, STARTS_AT: String(leftAt + laterMs) };
  return realServer({ directory, config: CONFIG, env: { ...time, INFERQ_ALLOW_PRIVATE: "webhook" } });
}

test.each(dataDirectories())("%s", async (name) => {
  using older = copyOf(name);
  const { facts } = older;
  await using receiver = await receiverAt(HOOK_PORT);
  await using server = await serverOn(older.path, facts);

  for (const request of facts.requests) if (request.answer !== undefined) await expectSameAnswer(server, request);
  expect(await digestOf(server, facts.asset.path)).toBe(facts.asset.sha256);
  await expectKeysToWork(server, facts);

  // What had no outcome gets one.
  const of = (what: string): string => idOf(facts, what);
  for (const what of ["what ran", "what waited"]) {
    expect(await server.result(of(what))).toMatchObject({ status: "COMPLETED", output: FOX });
  }
  expect(await server.result(of("a picture that waited"))).toMatchObject({
    status: "COMPLETED",
    images: [{ content_type: "image/png" }],
    prompt: "a white rose",
    seed: "6",
  });
  expect(await server.result(of("what comes back after two crashes"))).toMatchObject({ status: "FAILED" });

  if (facts.schema >= CANCEL_SINCE) {
    expect(await server.result(of("what waited, with options"))).toMatchObject({ status: "COMPLETED", output: FOX });
    await expectReplayed(server, "mock-inference", "order-4711", of("a text under an idempotency key"));
    await expectReplayed(server, "one-place", "order-4712", of("what waited, with options"));
  }
  if (facts.schema >= WEBHOOKS_SINCE) {
    const told = [of("what could not be told yet"), of("what waited, to be told")];
    await receiver.heard(told);
    expect([...receiver.events.keys()].sort()).toEqual(told.sort());
  }
  const list = (await (await server.fetch("/v2/requests?limit=100")).json()) as { requests: { request_id: string }[] };
  expect(list.requests.map((request) => request.request_id)).toEqual(
    facts.requests
      .map(({ id }) => id)
      .sort()
      .toReversed(),
  );
});

test("eight days later nothing of it is left but what somebody is still to be told", async () => {
  const name = dataDirectories().findLast((each) => each.endsWith("killed"))!;
  using older = copyOf(name);
  const { facts } = older;
  await using receiver = await receiverAt(HOOK_PORT);
  await using server = await serverOn(older.path, facts, 8 * DAY);
  for (const { id } of facts.requests) {
    const { status, headers } = await server.fetch(`/v2/requests/${id}`);
    expect({ status, code: headers.get("x-error-code") }).toEqual({ status: 404, code: "expired" });
  }
  const told = [idOf(facts, "what could not be told yet"), idOf(facts, "what waited, to be told")] as const;
  await receiver.heard(told);
  expect([told.map((id) => receiver.events.get(id)), receiver.events.size]).toEqual([["COMPLETED", "expired"], 2]);
  while (globSync("files/*/**", { cwd: older.path }).length > 0) await pause(50);
});

test.each(["inferq.db", "keys.db"])("an older server refuses a newer %s with a sentence", async (name) => {
  using newest = copyOf(dataDirectories().at(-1)!);
  {
    await using server = await serverOn(newest.path, newest.facts);
    await server.ready();
  }
  const path = join(newest.path, name);
  const known = raiseVersion(path);
  const { code, stderr } = await inferq(["start", "--config", CONFIG, "--data-dir", newest.path, "--port", "0"]);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      `${path} was written by a newer inferq (schema ${known + 1}; this one knows ${known}). ` +
      "Start the newer version, or use another data directory.\n",
  });
});

function idOf({ requests }: Facts, what: string): string {
  return requests.find((request) => request.what === what)!.id;
}

async function expectSameAnswer(server: RealServer, { what, id, answer, files }: KnownRequest): Promise<void> {
  const now = await server.fetch(`/v2/requests/${id}`);
  const body = await now.text();
  const short = body.length < 10_000 ? body : `sha256:${createHash("sha256").update(body).digest("hex")}`;
  expect({ what, status: now.status, code: now.headers.get("x-error-code"), body: short }).toEqual({ what, ...answer });
  for (const { path, sha256 } of files ?? []) expect(await digestOf(server, path)).toBe(sha256);
}

async function digestOf(server: RealServer, path: KnownFile["path"]): Promise<string> {
  return createHash("sha256")
    .update(await (await fetch(server.base + path)).bytes())
    .digest("hex");
}

async function expectKeysToWork(server: RealServer, { keys }: Facts): Promise<void> {
  for (const { name, secret } of keys) {
    const headers = { "x-api-key": secret };
    expect({ name, status: (await fetch(`${server.base}/v2/models`, { headers })).status }).toEqual({
      name,
      status: 200,
    });
    const metrics = await fetch(`${server.base}/metrics`, { headers });
    expect({ name, status: metrics.status }).toEqual({ name, status: name === "admin" ? 200 : 403 });
  }
}

/** The same submit under the same key is the same request still. */
async function expectReplayed(server: RealServer, model: string, key: string, id: string): Promise<void> {
  const answer = await server.fetch(`/v2/${model}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "idempotency-key": key,
      ...(key === "order-4711"
        ? { "x-result-ttl": "86400" }
        : { "x-priority": "low", "x-run-timeout": "60", "x-keep-until-read": "true" }),
    },
    body: JSON.stringify({ kind: "text" }),
  });
  expect(await answer.json()).toMatchObject({ request_id: id });
  expect(answer.headers.get("idempotent-replayed")).toBe("true");
}

/** Answers the version that the file had. */
function raiseVersion(path: string): number {
  using db = new DatabaseSync(path);
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  db.exec(`PRAGMA user_version = ${version + 1}`);
  return version;
}

/** Between two looks at what another process does. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface KnownReceiver extends AsyncDisposable {
  /** The events that came, by their ids: a status, or the code of a failure. */
  readonly events: ReadonlyMap<string, string>;
  heard(ids: readonly string[]): Promise<void>;
}

/** On the very port that the deliveries name; whoever runs the same test elsewhere on this machine is waited for. */
async function receiverAt(port: number): Promise<KnownReceiver> {
  const events = new Map<string, string>();
  const server = createServer((request, response) => {
    void (async () => {
      const { data } = (await json(request)) as { data: Record<string, string> };
      events.set(data["request_id"]!, data["error_code"] ?? data["status"]!);
      response.writeHead(204).end();
      server.emit("heard");
    })();
  });
  for (;;) {
    server.listen(port, "127.0.0.1");
    const taken = await Promise.race([
      once(server, "listening").then(() => false),
      once(server, "error").then(() => true),
    ]);
    if (!taken) break;
    await pause(100);
  }
  return {
    events,
    async heard(ids) {
      while (!ids.every((id) => events.has(id))) await once(server, "heard");
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
