/** What stops a start is told in one sentence, without a stack, and with an exit code. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { type Ended, inferq, temporaryDirectory } from "./command-line.ts";
import { realServer } from "./real-server.ts";

function expectOneSentence(ended: Ended, sentence: RegExp): void {
  expect(ended.stderr).toMatch(sentence);
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  expect(ended.code).toBe(1);
}

function modelModule(name: string, input: object): string {
  return `export default { name: "${name}", output: "text", input: ${JSON.stringify(input)}, run: () => "well" };`;
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

test.each([
  ["export default { models: [", /config\.mjs could not be loaded: \S/],
  [
    `import "nothing-such"; export default { models: [] };`,
    /config\.mjs could not be loaded: Cannot find package 'nothing-such'/,
  ],
  [`export default { models: ["./gone.mjs"] };`, /config\.mjs: the model "\.\/gone\.mjs" was not found; expected/],
  [
    `export default { models: ["./broken.mjs"] };`,
    /^The model "\.\/broken\.mjs" could not be loaded: libgone\.so is missing\./,
  ],
  [
    `export default { models: ["./twin.mjs", "./twin.mjs"] };`,
    /^Two models are named "twin"\. Give one of them another name\./,
  ],
  [`setInterval(() => {}, 1000); export default { prot: 1 };`, /config\.mjs: /],
  [
    `export default { models: ["./twin.mjs"], trustedProxies: ["lan"] };`,
    /config\.mjs: trustedProxies\[0\] must be an address or a range/,
  ],
])("a config that cannot be served: %s", async (config, sentence) => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "config.mjs");
  writeFileSync(file, config);
  writeFileSync(join(directory.path, "broken.mjs"), `throw new Error("libgone.so is missing");`);
  writeFileSync(join(directory.path, "twin.mjs"), modelModule("twin", { type: "object" }));
  expectOneSentence(await inferq(["start", "--config", file, "--port", "0"]), sentence);
});

test("the metrics' port is taken", async () => {
  using directory = temporaryDirectory();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const file = join(directory.path, "config.mjs");
  writeFileSync(file, `export default { models: ["./twin.mjs"], metricsPort: ${port} };`);
  writeFileSync(join(directory.path, "twin.mjs"), modelModule("twin", { type: "object" }));
  const ended = await inferq(["start", "--config", file, "--port", "0"]);
  other.close();
  expectOneSentence(ended, new RegExp(`^metricsPort ${port} cannot be used: .* Choose another\\.`));
});

test.each(["inferq.db", "keys.db"])("%s is damaged", async (name) => {
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, name), "garbage ".repeat(10_000));
  const ended = await inferq([...START, "--data-dir", directory.path, "--port", "0"]);
  expectOneSentence(ended, new RegExp(`${name} cannot be opened: file is not a database\\. It is damaged: put a copy`));
});

test("the data was written by a newer version", async () => {
  using directory = temporaryDirectory();
  const db = new DatabaseSync(join(directory.path, "inferq.db"));
  db.exec("PRAGMA user_version = 99; CREATE TABLE future (a)");
  db.close();
  const ended = await inferq([...START, "--data-dir", directory.path, "--port", "0"]);
  expectOneSentence(ended, /inferq\.db was written by a newer inferq \(schema 99; /);
});

test("a model's input schema that does not compile is told at the start, and stops nobody else", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "config.mjs");
  writeFileSync(join(directory.path, "odd.mjs"), modelModule("odd", { properties: { n: { type: "nummer" } } }));
  writeFileSync(join(directory.path, "fine.mjs"), modelModule("fine", { type: "object" }));
  const reason = "its input schema does not compile: type must be JSONType or JSONType[]: nummer";

  writeFileSync(file, `export default { models: ["./odd.mjs"] };`);
  const alone = await inferq(["start", "--config", file, "--port", "0"]);
  expectOneSentence(alone, /^No model can be served: odd \(its input schema does not compile: .*nummer\)\./);

  writeFileSync(file, `export default { models: ["./odd.mjs", "./fine.mjs"] };`);
  await using server = await realServer({ config: file });
  await server.ready();
  await server.said(`"model":"odd","reason":"${reason}"`);
  const { request_id: id } = await server.submit("fine", {});
  expect(await server.result(id)).toMatchObject({ status: "COMPLETED", output: "well" });
  const refused = await server.fetch("/v2/odd", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  expect(refused.status).toBe(503);
  expect(await refused.json()).toEqual({ error: `Model odd cannot run here: ${reason}.` });
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
  expect(ended.stderr).toMatch(/No model can be served: broken-setup \(.*the weights are missing.*\)\.$/m);
  expect(ended.code).toBe(1);
});

test("one broken model degrades the server and stops neither it nor the others", async () => {
  await using server = await realServer({ config: "test/broken-setup.config.ts" });
  await server.ready();
  const { request_id: id } = await server.submit("mock-inference", {});
  expect(await server.result(id)).toMatchObject({ status: "COMPLETED" });
  const model = (await (await server.fetch("/v2/models/broken-setup")).json()) as { state: unknown };
  expect(JSON.stringify(model.state)).toMatch(/failed|starting/);
  await server.said(/"model":"broken-setup","reason":"[^"]*the weights are missing/);
});
