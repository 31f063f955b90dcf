/** docs/guide/cancel.md on a real server: what a client sees of a cancel, and what becomes of the run. */
import { mkdtemp, rm } from "node:fs/promises";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/cancel.md";
const MOCK = { config: "test/mock.config.ts" };
const LONG = { sleep: 600, kind: "text" };

type Body = Record<string, unknown>;

let server: RealServer;
beforeAll(async () => {
  server = await realServer(MOCK);
});
afterAll(() => server[Symbol.asyncDispose]());

test("the page's command ends a request that runs, and its answer is the page's", async ({ skip }) => {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const id = await running(server, "mock-inference", LONG);
  const command = blockWith(PAGE, "-X POST", "sh").replaceAll("<id>", id);
  const answer = JSON.parse(await paste(command, server, ROOT)) as Body;
  const shown = JSON.parse(blockWith(PAGE, "FAILED", "json")) as Body;
  expect(answer).toMatchObject({ status: shown["status"], error: shown["error"] });
  expect(Object.keys(answer)).toEqual(Object.keys(shown));
  expect(await paste(command, server, ROOT)).toBe(JSON.stringify(answer));

  const result = await server.fetch(`/v2/requests/${id}`);
  expect([result.status, result.headers.get("x-error-code"), await result.json()]).toEqual([422, "cancelled", answer]);
  await server.said(new RegExp(`"request":"${id}".*"outcome":"cancelled","msg":"the request has ended meanwhile`));
});

test("the page's model stops when it is told, and takes the next request", async () => {
  using directory = temporaryDirectory();
  symlinkSync(join(ROOT, "node_modules"), join(directory.path, "node_modules"), "junction");
  writeFileSync(join(directory.path, "steps.ts"), blockWith(PAGE, "defineModel", "ts"));
  const config = join(directory.path, "inferq.config.mjs");
  writeFileSync(config, `export default { models: ["./steps.ts"] };`);
  await using own = await realServer({ config: relative(ROOT, config) });
  await own.ready();
  const id = await running(own, "steps", { steps: 1_000_000 });
  expect((await cancel(own, id)).status).toBe(200);
  const next = await own.submit("steps", { steps: 1 });
  expect(await own.result(next.request_id)).toMatchObject({ status: "COMPLETED", output: "1 steps" });
});

test("a cancel survives kill -9, and no worker takes the request up again", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inferq-cancel-"));
  try {
    const first = await realServer({ ...MOCK, directory });
    const id = await running(first, "mock-inference", LONG);
    expect((await cancel(first, id)).status).toBe(200);
    await first.kill();
    await using second = await realServer({ ...MOCK, directory });
    const after = await second.submit("mock-inference", { kind: "text" }); // leases go by age: it would have come first
    expect(await second.result(after.request_id)).toMatchObject({ status: "COMPLETED" });
    const status = await second.fetch(`/v2/requests/${id}/status`);
    expect([status.status, status.headers.get("x-error-code")]).toEqual([422, "cancelled"]);
    expect((await cancel(second, id)).status).toBe(200);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("of a cancel and a result that come together one counts, for everybody", async () => {
  const { stdout } = await inferq(["keys", "create", "--admin", "--data-dir", server.directory]);
  const admin = /^sg_\w+/m.exec(stdout)![0];
  const before = await outcomes(server, admin);
  const requests = 400;
  const told = { COMPLETED: 0, cancelled: 0 };
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const { request_id: id } = await server.submit("mock-inference", { kind: "text" });
      for (let turns = left % 8; turns > 0; turns--) await server.fetch(`/v2/requests/${id}/status`);
      const answer = await cancel(server, id);
      const result = await server.fetch(`/v2/requests/${id}`);
      const seen = [answer.status, result.status, ((await result.json()) as Body)["status"]];
      expect([
        [200, 422, "FAILED"],
        [409, 200, "COMPLETED"],
      ]).toContainEqual(seen);
      told[answer.status === 200 ? "cancelled" : "COMPLETED"] += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  const after = await outcomes(server, admin);
  expect({
    COMPLETED: (after["COMPLETED"] ?? 0) - (before["COMPLETED"] ?? 0),
    cancelled: (after["cancelled"] ?? 0) - (before["cancelled"] ?? 0),
  }).toEqual(told);
});

async function cancel(on: RealServer, id: string): Promise<Response> {
  const answer = await on.fetch(`/v2/requests/${id}/cancel`, { method: "POST" });
  await answer.arrayBuffer();
  return answer;
}

/** Submits a request and polls until it runs; answers its id. */
async function running(on: RealServer, model: string, input: object): Promise<string> {
  const { request_id: id } = await on.submit(model, input);
  for (;;) {
    const { status } = (await (await on.fetch(`/v2/requests/${id}/status`)).json()) as Body;
    if (status === "PROCESSING") return id;
    expect(status).toBe("QUEUED");
  }
}

/** How many requests had each outcome, as the server counts. */
async function outcomes(on: RealServer, admin: string): Promise<Record<string, number>> {
  const figures = await (await on.fetch("/metrics", { headers: { "x-api-key": admin } })).text();
  const found = figures.matchAll(/^inferq_requests_finished_total\{.*outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, outcome, count]) => [outcome!, Number(count)]));
}
