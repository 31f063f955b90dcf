import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hashKey, loadConfig } from "../../src/config/load.ts";
import { resolveModule } from "../../src/config/resolve-module.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inferq-config-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(config: object): void {
  const body = JSON.stringify({ models: ["inferq/mock-inference"], ...config });
  writeFileSync(join(directory, "inferq.config.mjs"), `export default ${body};`);
}

test("defaults fill what nobody set", async () => {
  write({});
  const config = await loadConfig({}, {}, directory);
  expect(config).toMatchObject({
    port: 8787,
    host: "127.0.0.1",
    resultTtlSeconds: 3600,
    allowPrivate: [],
    apiKeys: [],
  });
  expect(config.dataDir).toBe(join(directory, ".inferq"));
  expect(config.models).toEqual([{ module: "inferq/mock-inference" }]);
  expect(config.publicUrl).toBeUndefined();
});

test("flags go over the environment, the environment over the file", async () => {
  write({ port: 1, host: "a", dataDir: "data" });
  const fromFile = await loadConfig({}, {}, directory);
  expect(fromFile).toMatchObject({ port: 1, host: "a", dataDir: join(directory, "data") });
  const env = {
    PORT: "2",
    HOST: "b",
    INFERQ_DATA_DIR: "/tmp/x",
    INFERQ_ALLOW_PRIVATE: "input",
    INFERQ_RESULT_TTL_SECONDS: "1.5",
  };
  const fromEnv = await loadConfig({}, env, directory);
  expect(fromEnv).toMatchObject({
    port: 2,
    host: "b",
    dataDir: "/tmp/x",
    allowPrivate: ["input"],
    resultTtlSeconds: 1.5,
  });
  const fromFlags = await loadConfig({ port: "3", host: "c", "data-dir": "d" }, env, directory);
  expect(fromFlags).toMatchObject({ port: 3, host: "c", dataDir: join(directory, "d") });
});

test("a blank variable is no setting", async () => {
  write({ port: 1 });
  expect((await loadConfig({}, { PORT: " ", INFERQ_API_KEYS: "" }, directory)).port).toBe(1);
});

test("the result cannot be changed", async () => {
  write({ models: [{ module: "x", aliases: ["y"] }] });
  const config = await loadConfig({}, {}, directory);
  expect(() => Object.assign(config.models[0]!, { module: "z" })).toThrow(TypeError);
});

test("keys of the environment are kept as hashes; one without a name is named by its hash", async () => {
  write({});
  const { apiKeys } = await loadConfig({}, { INFERQ_API_KEYS: "sg_secretsecret, ci=sg_othersecret=" }, directory);
  expect(apiKeys).toEqual([
    { name: `key-${hashKey("sg_secretsecret").slice(0, 8)}`, hash: hashKey("sg_secretsecret") },
    { name: "ci", hash: hashKey("sg_othersecret=") },
  ]);
});

test("model modules are found from the config file", () => {
  const configPath = fileURLToPath(new URL("../../../../inferq.config.ts", import.meta.url));
  expect(resolveModule("inferq/model", configPath)).toMatch(/packages\/server\/src\/model\/model\.ts$/);
  expect(resolveModule("./package.json", configPath)).toMatch(/^file:.*\/package\.json$/);
  expect(() => resolveModule("@inferq/models/nothing", configPath)).toThrow(
    `the model "@inferq/models/nothing" was not found; expected an installed package or a path such as "./my-model.ts".`,
  );
});
