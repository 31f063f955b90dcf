/** What stops a start is told in one sentence, without a stack, and with an exit code. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Ended, inferq, temporaryDirectory } from "./command-line.ts";
import { realServer } from "./real-server.ts";

function expectOneSentence(ended: Ended, sentence: RegExp): void {
  expect(ended.stderr).toMatch(sentence);
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  expect(ended.code).toBe(1);
}

const START = ["start", "--config", "test/mock.config.ts"];

test("the port is taken", async () => {
  using directory = temporaryDirectory();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const port = String((other.address() as AddressInfo).port);
  const ended = await inferq([...START, "--data-dir", directory.path, "--port", port]);
  other.close();
  expectOneSentence(
    ended,
    new RegExp(`^Cannot listen on 127\\.0\\.0\\.1, port ${port}: another program uses this port\\.`),
  );
});

test("the data directory is in use by another server", async () => {
  await using server = await realServer({ config: "test/mock.config.ts" });
  const ended = await inferq([...START, "--data-dir", server.directory, "--port", "0"]);
  expectOneSentence(ended, /^The data directory .* is in use by another inferq server\./);
});

test("the data directory cannot be written", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "file");
  writeFileSync(file, "");
  const ended = await inferq([...START, "--data-dir", join(file, "data"), "--port", "0"]);
  expectOneSentence(ended, /^The data directory .* cannot be written: /);
});

test("a bad setting in the environment", async () => {
  expectOneSentence(await inferq(START, { PORT: "abc" }), /^PORT must be a whole number from 0 to 65535, got "abc"\./);
});

test("no model can be set up", async () => {
  using directory = temporaryDirectory();
  const ended = await inferq([
    "start",
    "--config",
    "test/nothing-works.config.ts",
    "--data-dir",
    directory.path,
    "--port",
    "0",
  ]);
  expect(ended.stderr).toMatch(
    /No model can be served: broken-setup \(.*the weights are missing.*\)\.$/m,
  );
  expect(ended.code).toBe(1);
});

test("one broken model degrades the server and stops neither it nor the others", async () => {
  await using server = await realServer({ config: "test/broken-setup.config.ts" });
  await server.ready();
  const { request_id: id } = await server.submit("mock-inference", {});
  expect(await server.result(id)).toMatchObject({ status: "COMPLETED" });
  const model = (await (await server.fetch("/v2/models/broken-setup")).json()) as { state: unknown };
  expect(JSON.stringify(model.state)).toMatch(/failed|starting/);
  expect(server.output()).toMatch(/"model":"broken-setup","reason":"[^"]*the weights are missing/);
});
