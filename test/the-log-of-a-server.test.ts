/** What a real server writes to its log while requests go every way there is: one line an event, whose it was, and no word of theirs. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { KEY, type RealServer, realServer } from "./real-server.ts";

type Line = Readonly<Record<string, unknown>>;

const CONFIG = "test/no-grace.config.ts";
const MODEL = "mock-inference";

test("one line for each event of a request, with its id and its key's name; no key and no input", async () => {
  await using server = await realServer({ config: CONFIG });
  await server.ready();
  const submit = async (input: object): Promise<string> =>
    (await server.submit(MODEL, { ...input, note: "a secret" })).request_id;

  const completed = await submit({ kind: "text" });
  await server.result(completed);
  for (let poll = 0; poll < 50; poll++) await server.fetch(`/v2/requests/${completed}/status`);
  const failed = await submit({ fail: true });
  await server.result(failed);
  const body = JSON.stringify({ sleep: "a secret" });
  const headers = { "content-type": "application/json" };
  expect((await server.fetch(`/v2/${MODEL}`, { method: "POST", headers, body })).status).toBe(422);
  const crashed = await submit({ crash: true });
  await server.said("request is tried again");
  await server.ready();
  const running = await submit({ sleep: 60 });
  await left("QUEUED", running, server);
  const { lines, told } = await logOf(server);

  expect(told(completed)).toEqual(["request accepted", "request completed"]);
  expect(told(failed)).toEqual(["request accepted", "request failed: model_error"]);
  expect(told(crashed).slice(0, 2)).toEqual(["request accepted", "request is tried again: runner_crashed"]);
  // Once or twice: the next try of the one that crashed may have ended the process that this was to run in.
  expect(new Set(told(running))).toEqual(new Set(["request accepted", "request given back to the queue"]));
  const refused = lines.filter(({ msg }) => msg === "request refused");
  expect(refused).toMatchObject([{ owner: "test", key: "test", model: MODEL, code: "invalid_input" }]);
  expect(server.output()).not.toContain("a secret");
  expect(server.output()).not.toContain(KEY);
});

test("a request that expires while it runs is told by the sweep and by the worker whose run it ends", async () => {
  await using server = await realServer({ config: CONFIG, env: { INFERQ_RESULT_TTL_SECONDS: "1" } });
  await server.ready();
  const { request_id: id } = await server.submit(MODEL, { sleep: 60 });
  expect(await server.result(id)).toEqual({ error: `Request ${id} not found` });
  await server.said("request expired");
  const { told } = await logOf(server);
  const ended = "the request has ended meanwhile; so does its run";
  expect(new Set(told(id))).toEqual(new Set(["request accepted", ended, "request expired before it had an outcome"]));
});

async function left(status: string, id: string, server: RealServer): Promise<void> {
  for (;;) {
    const answer = await server.fetch(`/v2/requests/${id}/status`);
    if (((await answer.json()) as { status: string }).status !== status) return;
  }
}

/** The log of a server's whole life, what it says when it stops included. */
async function logOf(server: RealServer): Promise<{ lines: Line[]; told: (id: string) => unknown[] }> {
  const closed = once(server.process, "close"); // all that it wrote has been read
  server.process.kill("SIGTERM");
  await closed;
  const lines = server
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
  return {
    lines,
    told(id) {
      const own = lines.filter(({ request }) => request === id);
      for (const line of own) expect(line).toMatchObject({ owner: "test", model: MODEL });
      return own.map(({ msg, code }) => (code === undefined ? msg : `${msg as string}: ${code as string}`));
    },
  };
}
