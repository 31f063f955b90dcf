/** docs/guide/waiting.md on a real server: what its commands answer, and what becomes of those who wait. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/waiting.md";
const CONFIG = "test/mock.config.ts";
const SHORT = { sleep: 0.3, kind: "text" };

type Body = Record<string, unknown>;

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: CONFIG });
});
afterAll(() => server[Symbol.asyncDispose]());

const curl = async (command: string, id = ""): Promise<Body> =>
  JSON.parse(await paste(command.replaceAll("<id>", id).replace("curl ", "curl -s "), server, ROOT)) as Body;

test("the page's poll answers the result of a request that has just been submitted", async ({ skip }) => {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const { request_id: id } = await server.submit("mock-inference", SHORT);
  const answer = await curl(blockWith(PAGE, "<id>?wait=30", "sh"), id);
  expect(answer).toEqual(await (await server.fetch(`/v2/requests/${id}`)).json());
  expect(answer["status"]).toBe("COMPLETED");
});

test("the page's one call answers the fields that stand below it, in their order", async ({ skip }) => {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const answer = await curl(blockWith(PAGE, "-X POST", "sh"));
  expect(Object.keys(answer)).toEqual(Object.keys(JSON.parse(blockWith(PAGE, "COMPLETED", "json")) as Body));
  expect(answer["status"]).toBe("COMPLETED");
});

test("the page's program waits and prints the outcome", async ({ skip }) => {
  const installed = spawnSync("python3", ["-c", "import requests"]).status === 0;
  skip(!installed, "python3 with requests is not installed (Debian: python3-requests)");
  const program = blockWith(PAGE, "import requests", "python");
  expect(await paste(`python3 - <<'END'\n${program}\nEND\n`, server, ROOT)).toMatch(/^COMPLETED \S/);
});

test("a submit that is sent again waits for the first one's outcome", async () => {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": "order-4712" },
    body: JSON.stringify(SHORT),
  };
  const path = "/v2/mock-inference?wait=30";
  const [first, again] = await Promise.all([server.fetch(path, init), server.fetch(path, init)]);
  const bodies = [await first.json(), await again.json()] as Body[];
  expect(bodies[0]).toMatchObject({ status: "COMPLETED" });
  expect(bodies[1]).toEqual(bodies[0]);
});

test("a server that is stopped answers those who wait with the state of then", async () => {
  await using own = await realServer({ config: "test/no-grace.config.ts" });
  const { request_id: id } = await own.submit("mock-inference", { sleep: 600, kind: "text" });
  const socket = connect(Number(new URL(own.base).port), "127.0.0.1").setEncoding("utf8");
  socket.write(`GET /v2/requests/${id}/status?wait=60 HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n`);
  await own.fetch("/healthz"); // what came before it has been read when it is answered
  own.process.kill("SIGTERM");
  const [answer] = (await once(socket, "data")) as [string];
  expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*"status":"(?:QUEUED|PROCESSING)"/);
  expect(answer).toMatch(/^connection: close\r$/im);
});

test("more clients than there are descriptors: some are sent away, and requests still run", async ({ skip }) => {
  const reason = missing("bash");
  skip(reason !== undefined, reason);
  await using own = await realServer({ config: "test/no-grace.config.ts", openFiles: 256 });
  await own.ready();
  const port = Number(new URL(own.base).port);
  const { request_id: id } = await own.submit("mock-inference", { sleep: 600, kind: "text" });
  const first = connect(port, "127.0.0.1").setEncoding("utf8");
  await once(first, "connect");
  const waiting = Array.from({ length: 300 }, () => connect(port, "127.0.0.1"));
  const oneIsClosed = new Promise((resolve) => {
    for (const socket of waiting) socket.on("error", () => {}).on("close", resolve); // reset, or ended
  });
  for (const socket of waiting) {
    socket.write(`GET /v2/requests/${id}/status?wait=60 HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n`);
  }
  await oneIsClosed;
  await own.said("connections are refused");

  const body = JSON.stringify({ kind: "image" }); // a file is written, and read again
  const head = `x-api-key: ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  first.write(`POST /v2/mock-inference?wait=60 HTTP/1.1\r\nHost: x\r\n${head}${body}`);
  expect((await once(first, "data"))[0]).toContain('"status":"COMPLETED"');
  for (const socket of [first, ...waiting]) socket.destroy();
});
