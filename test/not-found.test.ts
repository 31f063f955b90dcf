/** docs/guide/not-found.md on a real server: what is told of a request that is gone, by its id alone. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/not-found.md";
const OTHER = "sg_fedcba9876543210";
const CONFIG = "test/mock.config.ts";
const env = { INFERQ_API_KEYS: `test=${KEY},other=${OTHER}` };

/** Each process has a clock of its own, set by the wall clock when it started. */
const BETWEEN_CLOCKS_MS = 100;

/** Status, code, time and body of the answer about request `id`. */
async function told(server: RealServer, id: string, key = KEY): Promise<unknown[]> {
  const answer = await fetch(`${server.base}/v2/requests/${id}`, { headers: { "x-api-key": key } });
  const { status, headers } = answer;
  return [status, headers.get("x-error-code"), headers.get("x-expired-at"), await answer.json()];
}

test("the page's commands see a request expire, and their answer is the page's", async ({ skip }) => {
  const reason = missing("bash", "curl", "cut");
  skip(reason !== undefined, reason);
  await using server = await realServer({ config: CONFIG, env });
  const answer = await paste(blockWith(PAGE, "X-Result-TTL", "sh"), server, ROOT);
  const shown = blockWith(PAGE, "x-expired-at", "http").trim().split("\n");
  const general = (line: string): string =>
    line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, "<time>").replace(/Request [\w…-]+/, "Request <id>");
  const lines = answer.split(/\r?\n/).map(general);
  for (const line of shown.map(general)) expect(lines).toContain(line);
});

test("a request that has expired is told to its owner alone, with its time, by the next server too", async () => {
  using directory = temporaryDirectory();
  const options = { directory: directory.path, config: CONFIG };
  let id: string;
  let expired: unknown[];
  {
    await using server = await realServer({ ...options, env: { ...env, INFERQ_RESULT_TTL_SECONDS: "1" } });
    const before = Date.now();
    const submitted = await server.submit("mock-inference", { sleep: 600 });
    id = submitted.request_id;
    const after = Date.now();
    expect(await told(server, id, OTHER)).toEqual([404, "unknown", null, { error: `Request ${id} not found` }]);
    await server.said(new RegExp(`"request":"${id}".*"msg":"request expired`));

    expired = await told(server, id);
    const at = String(expired[2]);
    expect(expired).toEqual([404, "expired", at, { error: `Request ${id} not found` }]);
    expect(Date.parse(at)).toBeGreaterThan(before + 1_000 - BETWEEN_CLOCKS_MS);
    expect(Date.parse(at)).toBeLessThan(after + 1_000 + BETWEEN_CLOCKS_MS);
    expect(await told(server, id, OTHER)).toEqual([404, "unknown", null, { error: `Request ${id} not found` }]);
    await server.kill();
  }
  await using next = await realServer({ ...options, env });
  expect(await told(next, id)).toEqual(expired);
  expect(await told(next, id, OTHER)).toEqual([404, "unknown", null, { error: `Request ${id} not found` }]);
});

test("servers with other secrets do not know each other's ids, and no secret is printed", async () => {
  await using server = await realServer({
    config: CONFIG,
    env: { ...env, INFERQ_RESULT_TTL_SECONDS: "1", INFERQ_LOG_LEVEL: "debug" },
  });
  await using other = await realServer({ config: CONFIG, env });
  const { request_id: id } = await server.submit("mock-inference", { sleep: 600 });
  await server.said(new RegExp(`"request":"${id}".*"msg":"request expired`));
  expect((await told(server, id))[1]).toBe("expired");
  expect((await told(other, id))[1]).toBe("unknown");
  using keys = new DatabaseSync(join(server.directory, "keys.db"), { readOnly: true });
  const { value } = keys.prepare("SELECT value FROM secrets").get() as { value: string };
  expect(value).toMatch(/^[0-9a-f]{32}$/);
  expect(server.output()).not.toContain(value);
});
