/** How often requests of a model are tried again: the config's entry says it, else the model, else the default. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ModelEntry } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { RetryPolicy } from "../../src/core/transition.ts";
import { findModels } from "../../src/server/load-models.ts";
import { scratchDirectory } from "../scratch.ts";

async function policyOf(own: object | undefined, entry: ModelEntry["retries"]): Promise<RetryPolicy> {
  await using scratch = await scratchDirectory();
  const definition = { name: "own", output: "text", input: { type: "object" }, ...(own && { retries: own }) };
  await writeFile(
    join(scratch.path, "model.mjs"),
    `export default { ...${JSON.stringify(definition)}, run: () => "" };`,
  );
  const models = [{ module: "./model.mjs", ...(entry && { retries: entry }) }];
  await writeFile(join(scratch.path, "inferq.config.mjs"), `export default ${JSON.stringify({ models })};`);
  const [found] = await findModels(await loadConfig({}, {}, scratch.path));
  return found!.retries;
}

test.each([
  [undefined, undefined, { crashes: 2, errors: 2, delayMs: 1_000 }],
  [{ crashes: 0, delaySeconds: 0.5 }, undefined, { crashes: 0, errors: 2, delayMs: 500 }],
  [{ crashes: 5, errors: 5 }, { errors: 0 }, { crashes: 5, errors: 0, delayMs: 1_000 }],
  [{ delaySeconds: 300 }, { delaySeconds: 0 }, { crashes: 2, errors: 2, delayMs: 0 }],
])("the model %j, its entry %j", async (own, entry, policy) => {
  expect(await policyOf(own, entry)).toEqual(policy);
});

test.each([
  [{ crashes: 101 }, "The model own: retries.crashes must be a whole number from 0 to 100, got 101."],
  [{ errors: 0.5 }, "The model own: retries.errors must be a whole number from 0 to 100, got 0.5."],
  [{ delaySeconds: 301 }, "The model own: retries.delaySeconds must be a number from 0 to 300, got 301."],
  [{ delay: 1 }, 'The model own: unknown key "retries.delay"; known keys are crashes, errors, delaySeconds.'],
])("a model that says %j stops the start", async (own, sentence) => {
  await expect(policyOf(own, undefined)).rejects.toThrow(sentence);
});
