/** A signal ends the server in good order, whatever the server or those around it are doing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { KEY, realServer, type RealServer } from "./real-server.ts";

const CLI = join(import.meta.dirname, "../packages/server/src/cli.ts");

test("a signal that comes while the server starts is heard when it has started", async () => {
  using directory = temporaryDirectory();
  const config = join(directory.path, "config.mjs");
  writeFileSync(config, `export default { models: ["./early.mjs"] };`);
  const model = `export default { name: "early", output: "text", input: { type: "object" }, run: () => "well" };`;
  const signal = `if (!(Symbol.for("inferq.child") in globalThis)) process.kill(process.pid, "SIGTERM");`;
  writeFileSync(join(directory.path, "early.mjs"), `${model}\n${signal}`);
  const ended = await inferq(["start", "--config", config, "--port", "0"]);
  expect(ended.stderr).toContain("SIGTERM: stopping");
  expect(ended.code).toBe(0);
});

test("a log that nobody reads holds up neither the server nor its stop", async () => {
  using directory = temporaryDirectory();
  const config = join(directory.path, "config.mjs");
  writeFileSync(config, `export default { models: ["./talkative.mjs"] };`);
  const setup = `setup() { for (let i = 0; i < 20_000; i++) console.log("x".repeat(100)); }`;
  writeFileSync(
    join(directory.path, "talkative.mjs"),
    `export default { name: "talkative", output: "text", input: { type: "object" }, ${setup}, run: () => "well" };`,
  );
  const server = spawn(process.execPath, ["--conditions=@inferq/source", CLI, "start", "--config", config], {
    env: { PATH: process.env["PATH"], PORT: "0", INFERQ_API_KEYS: KEY },
    stdio: ["ignore", "pipe", "pipe"], // stdout is a pipe, and never read
  });
  const exited = once(server, "exit");
  let told = "";
  for await (const chunk of server.stderr.iterator({ destroyOnReturn: false })) {
    told += String(chunk);
    if (told.includes("Try it")) break;
  }
  server.stderr.resume();
  const base = /http:\S+/.exec(told)![0];
  while ((await fetch(`${base}/readyz`)).status !== 200);
  server.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  server.stdout.destroy();
});

test("neither a client in the middle of its body nor one that waits for its result holds up a stop", async () => {
  await using server = await realServer({ config: "test/no-grace.config.ts" });
  await server.ready();
  const { port } = new URL(server.base);
  const slow = connect(Number(port), "127.0.0.1");
  slow.on("error", () => {}); // it is cut off
  const head = `POST /v2/mock-inference HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\ncontent-type: application/json\r\n`;
  slow.write(`${head}content-length: 1000\r\n\r\n{"sleep"`);
  const waiting = server.fetch("/v1/mock-inference", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"sleep":60}`,
  });
  await server.said("request accepted");
  const exited = once(server.process, "exit");
  server.process.kill("SIGTERM");
  expect((await waiting).status).toBeGreaterThanOrEqual(500);
  expect(await exited).toEqual([0, null]);
  slow.destroy();
});

test("a client that spoke no HTTP and keeps its side open does not hold up a stop", async () => {
  await using server = await realServer({ config: "test/no-grace.config.ts" });
  const { port } = new URL(server.base);
  const kept = ["CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", "no HTTP\r\n\r\n"].map((bytes) => {
    const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {}); // it is cut off
    socket.write(bytes);
    return socket;
  });
  for (const socket of kept) expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 400 /);
  const exited = once(server.process, "exit");
  server.process.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  for (const socket of kept) socket.destroy();
});

test("readiness says first that the server stops; what runs may end, what waits is answered, and what comes runs after the start", async () => {
  using directory = temporaryDirectory();
  const go = join(directory.path, "go");
  const config = join(directory.path, "config.mjs");
  writeFileSync(config, `export default { models: ["./patient.mjs"], dataDir: "./data", stopGraceSeconds: 60 };`);
  const run = `async run(_, { log }) {
    log("running");
    while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 10));
    return "well";
  }`;
  writeFileSync(
    join(directory.path, "patient.mjs"),
    `import { existsSync } from "node:fs";
    export default { name: "patient", output: "text", input: { type: "object" }, ${run} };`,
  );
  const data = join(directory.path, "data");
  let late: string;
  {
    await using server = await realServer({ config, directory: data });
    await server.ready();
    const { request_id: id } = await server.submit("patient", {});
    while ((await status(server, id)) !== "PROCESSING");
    const waiting = server.fetch(`/v2/requests/${id}?wait=60`);
    const exited = once(server.process, "exit");
    server.process.kill("SIGTERM");
    await server.said("SIGTERM: stopping");
    const readiness = await server.fetch("/readyz");
    expect([readiness.status, await readiness.json()]).toEqual([503, { status: "stopping" }]);
    expect((await server.fetch("/healthz")).status).toBe(200);

    late = (await server.submit("patient", {})).request_id;
    const unfinished = server.fetch(`/v2/requests/${late}?wait=60`);
    const sync = await server.fetch("/v1/patient", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([sync.status, sync.headers.get("x-error-code")]).toEqual([503, "shutting_down"]);
    expect(sync.headers.get("retry-after")).toBe("1");
    expect(await status(server, late)).toBe("QUEUED"); // nothing more is leased

    writeFileSync(go, "");
    expect(await (await waiting).json()).toMatchObject({ status: "COMPLETED", output: "well" });
    expect(await (await unfinished).json()).toMatchObject({ status: "QUEUED" });
    expect(await exited).toEqual([0, null]);
  }
  await using server = await realServer({ config, directory: data });
  expect(await server.result(late)).toMatchObject({ status: "COMPLETED" });
  const timeline = (await (await server.fetch(`/v2/requests/${late}/timeline`)).json()) as {
    events: { event: string }[];
  };
  expect(timeline.events.map(({ event }) => event)).toEqual(["submitted", "leased", "completed"]);
});

async function status({ fetch }: Pick<RealServer, "fetch">, id: string): Promise<string> {
  const answer = await fetch(`/v2/requests/${id}/status`);
  return ((await answer.json()) as { status: string }).status;
}
