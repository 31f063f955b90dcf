import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inferq-config-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(config: unknown): void {
  writeFileSync(join(directory, "inferq.config.mjs"), `export default ${JSON.stringify(config)};`);
}

function faultOf(config: unknown, env: Record<string, string> = {}): Promise<string> {
  write(config);
  return loadConfig({}, env, directory).then(
    () => "no fault",
    (error: Error) => `${error.name}: ${error.message.replace(directory, "DIR")}`,
  );
}

const FILE = "StartError: DIR/inferq.config.mjs";
const models = ["inferq/mock-inference"];

test.each([
  [{ modles: [] }, `${FILE}: "models" is missing; it is required.`],
  [{ models, prot: 1 }, `${FILE}: unknown key "prot"; did you mean "port"?`],
  [{ models, leaseSecs: 1 }, `${FILE}: unknown key "leaseSecs"; did you mean "leaseSeconds"?`],
  [{ models: [] }, `${FILE}: models must be a list with at least one entry, got [].`],
  [{ models: [7] }, `${FILE}: models[0] must be a text or an object, got 7.`],
  [{ models: [{ modul: "x" }] }, `${FILE}: models[0] lacks "module" which is required.`],
  [{ models: [{ module: "x", nam: "y" }] }, `${FILE}: unknown key "models[0].nam"; did you mean "name"?`],
  [
    { models: [{ module: "x", aliases: ["requests"] }] },
    `${FILE}: models[0].aliases[0] must be a name other than "requests" and "models", got "requests".`,
  ],
  [
    { models: [{ module: "x", runner: "thread" }] },
    `${FILE}: models[0].runner must be one of "process", "inline", got "thread".`,
  ],
  [
    { models: [{ module: "x", retries: { crashes: 101 } }] },
    `${FILE}: models[0].retries.crashes must be a whole number from 0 to 100, got 101.`,
  ],
  [
    { models: [{ module: "x", retries: { delaySeconds: -1 } }] },
    `${FILE}: models[0].retries.delaySeconds must be a number from 0 to 300, got -1.`,
  ],
  [
    { models: [{ module: "x", retries: { crash: 1 } }] },
    `${FILE}: unknown key "models[0].retries.crash"; did you mean "crashes"?`,
  ],
  [{ models, port: 70_000 }, `${FILE}: port must be a whole number from 0 to 65535, got 70000.`],
  [{ models, bodyLimitBytes: "64MB" }, `${FILE}: bodyLimitBytes must be a whole number of at least 1, got "64MB".`],
  [{ models, resultTtlSeconds: 0 }, `${FILE}: resultTtlSeconds must be a number above 0, got 0.`],
  [
    { models, publicUrl: "api.example.com" },
    `${FILE}: publicUrl must be an origin such as "https://api.example.com", without a path, got "api.example.com".`,
  ],
])("%j", async (config, sentence) => {
  expect(await faultOf(config)).toBe(sentence);
});

test.each([
  [{ PORT: "abc" }, `StartError: PORT must be a whole number from 0 to 65535, got "abc".`],
  [{ PORT: "0x10" }, `StartError: PORT must be a whole number from 0 to 65535, got "0x10".`],
  [{ PORT: "-1" }, `StartError: PORT must be a whole number from 0 to 65535, got "-1".`],
  [{ INFERQ_RESULT_TTL_SECONDS: "1h" }, `StartError: INFERQ_RESULT_TTL_SECONDS must be a number above 0, got "1h".`],
  [{ INFERQ_ALLOW_PRIVATE: "all" }, `StartError: INFERQ_ALLOW_PRIVATE must be one of "input", "webhook", got "all".`],
  [
    { INFERQ_LOG_LEVEL: "loud" },
    `StartError: INFERQ_LOG_LEVEL must be one of "trace", "debug", "info", "warn", "error", "fatal", "silent", got "loud".`,
  ],
  [{ INFERQ_API_KEYS: "a=x,a=y" }, `StartError: INFERQ_API_KEYS names "a" twice.`],
])("%j", async (env, sentence) => {
  expect(await faultOf({ models }, env)).toBe(sentence);
});

test("a bad entry among the API keys is told by its place, not by its text", async () => {
  const fault = await faultOf({ models }, { INFERQ_API_KEYS: "good=sg_0123456789ab, my secret" });
  expect(fault).toMatch(/^StartError: INFERQ_API_KEYS: expected .* entry 2 is neither\.$/);
  expect(fault).not.toContain("secret");
});

test("no config file", async () => {
  await expect(loadConfig({}, {}, directory)).rejects.toThrow(/^No inferq.config.ts in .*--config\.$/);
  await expect(loadConfig({ config: "gone.ts" }, {}, directory)).rejects.toThrow(
    /^No config file at .*gone\.ts \(--config\)\.$/,
  );
});

test("a config file that throws, and one that exports nothing", async () => {
  const path = join(directory, "inferq.config.mjs");
  writeFileSync(path, "throw new Error('the disk is full');");
  await expect(loadConfig({}, {}, directory)).rejects.toThrow("could not be loaded: the disk is full.");
  const other = join(directory, "other.mjs");
  writeFileSync(other, "export const config = {};");
  await expect(loadConfig({ config: other }, {}, directory)).rejects.toThrow("must export its config as default");
});
