/** A signal ends the server in good order, whatever the server or those around it are doing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { KEY, realServer } from "./real-server.ts";

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
