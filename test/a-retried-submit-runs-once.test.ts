/** docs/guide/idempotency.md on a real server and its file: what comes twice runs once, through crashes and lost answers. */
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/idempotency.md";
const CONFIG = "test/mock.config.ts";

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: CONFIG });
  await server.ready();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Told {
  readonly id: string;
  readonly isReplay: boolean;
}

async function submit(server: RealServer, key: string, input: object = { kind: "text" }): Promise<Told> {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const answer = await server.fetch("/v2/mock-inference", { method: "POST", headers, body: JSON.stringify(input) });
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
  const { request_id: id } = (await answer.json()) as { request_id: string };
  return { id, isReplay: answer.headers.get("idempotent-replayed") === "true" };
}

interface Page {
  readonly requests: readonly { readonly request_id: string }[];
  readonly next_cursor: string | null;
}

/** The ids of all requests that the test's key has. */
async function ownRequests(server: RealServer): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const after: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const page = (await (await server.fetch(`/v2/requests?limit=200${after}`)).json()) as Page;
    ids.push(...page.requests.map(({ request_id: id }) => id));
    cursor = page.next_cursor;
  }
  return ids;
}

test("the page's command, pasted twice, makes one request, which is found by its key", async ({ skip }) => {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const command = blockWith(PAGE, "idempotency-key: order-4711", "sh");
  const [first, second] = [await paste(command, server, ROOT), await paste(command, server, ROOT)];
  const [, replayed, shown] = /\n(Idempotent-Replayed: true)\n\n(.*)/.exec(blockWith(PAGE, "HTTP/1.1", "http"))!;
  const bodyOf = (answer: string): Record<string, unknown> =>
    JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as Record<string, unknown>;
  expect(bodyOf(second)).toEqual(bodyOf(first));
  expect(Object.keys(bodyOf(first))).toEqual(Object.keys(JSON.parse(shown!) as object));
  expect(first).not.toMatch(/idempotent-replayed/i);
  expect(second.toLowerCase()).toContain(`\r\n${replayed!.toLowerCase()}\r\n`);

  const found = JSON.parse(await paste(blockWith(PAGE, "idempotency_key=", "sh"), server, ROOT)) as Page;
  expect(found.requests.map(({ request_id: id }) => id)).toEqual([bodyOf(first)["request_id"]]);
});

test("two identical submits with one key, 1,000 times at once: one request each", async () => {
  const before = (await ownRequests(server)).length;
  const pairs = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => Promise.all([submit(server, `pair-${n}`), submit(server, `pair-${n}`)])),
  );
  for (const [one, other] of pairs) {
    expect(one.id).toBe(other.id);
    expect(one.isReplay).toBe(!other.isReplay);
  }
  expect(new Set(pairs.map(([{ id }]) => id)).size).toBe(1_000);
  expect(await ownRequests(server)).toHaveLength(before + 1_000);
}, 120_000);

test("a thousand identical submits at once: one request", async () => {
  const before = (await ownRequests(server)).length;
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => submit(server, "one")));
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
  expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
  expect(await server.result(answers[0]!.id)).toMatchObject({ status: "COMPLETED" });
  expect(await ownRequests(server)).toHaveLength(before + 1);
}, 60_000);

test("an answer that was lost is given again, by the next server too", async () => {
  using directory = temporaryDirectory();
  const first = await realServer({ config: CONFIG, directory: directory.path });
  await loseTheAnswer(first, "lost");
  await first.said('"msg":"request accepted"');
  await first.kill();

  await using next = await realServer({ config: CONFIG, directory: directory.path });
  const again = await submit(next, "lost");
  expect(again.isReplay).toBe(true);
  expect(await next.result(again.id)).toMatchObject({ status: "COMPLETED" });
  await expect(submit(next, "lost", { kind: "text", sleep: 1 })).rejects.toThrow(/^409 .*came before with another/);
}, 60_000);

/** Sends a submit, and is gone before the answer comes. */
async function loseTheAnswer(server: RealServer, key: string): Promise<void> {
  const { hostname, port } = new URL(server.base);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  const body = '{"kind":"text"}';
  const head = [
    "POST /v2/mock-inference HTTP/1.1",
    `host: ${hostname}:${port}`,
    `x-api-key: ${KEY}`,
    `idempotency-key: ${key}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
  await once(socket, "close");
}
