/** From the config's entries to models that can run. */
import type { Logger } from "pino";
import type { ModelEntry } from "../config/config.ts";
import type { ResolvedConfig } from "../config/load.ts";
import { checkRetries } from "../config/check.ts";
import { resolveModule } from "../config/resolve-module.ts";
import { StartError } from "../config/start-error.ts";
import { DEFAULT_RETRIES, type RetryPolicy } from "../core/transition.ts";
import { type Catalog, catalog, type ServedModel } from "../model/catalog.ts";
import type { ModelDefinition } from "../model/model.ts";
import type { Guard } from "../runner/guard.ts";
import { inlineRunner } from "../runner/inline.ts";
import { processRunner } from "../runner/process.ts";
import type { Runner } from "../runner/runner.ts";
import type { WorkerModel } from "../worker/attempt.ts";

export type LoadedModel = ServedModel & WorkerModel;

/** A model that is to be served, as its module declares it. */
export interface FoundModel {
  readonly entry: ModelEntry;
  /** Absolute path or URL of its module. */
  readonly module: string;
  readonly definition: ModelDefinition;
  readonly retries: RetryPolicy;
}

export interface Surroundings {
  readonly guard: Guard;
  /** Marks the child processes of this data directory. */
  readonly marker: string;
  readonly logger: Logger;
}

const DEFAULT_TIMEOUT_SECONDS = 600;

/** The config's models. Throws `StartError` if a module is missing, declares no model, or one that cannot be. */
export async function findModels(config: ResolvedConfig): Promise<FoundModel[]> {
  return await Promise.all(
    config.models.map(async (entry) => {
      const module = resolveModule(entry.module, config.configPath);
      const own = await importModel(module, entry.module);
      const definition = entry.name === undefined ? own : { ...own, name: entry.name };
      return { entry, module, definition, retries: retriesOf(entry, definition) };
    }),
  );
}

/** The same with runners, which are not started yet. */
export function loadModels(found: readonly FoundModel[], surroundings: Surroundings): LoadedModel[] {
  return found.map(({ entry, module, definition }) => ({
    name: definition.name,
    definition,
    aliases: (entry.aliases ?? []).map((alias) => (typeof alias === "string" ? { name: alias } : alias)),
    timeoutMs: 1000 * (entry.timeoutSeconds ?? definition.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS),
    waitingLimit: entry.waitingLimit,
    runner: runnerOf(entry, module, definition, surroundings),
  }));
}

/** What the entry says, else the model, else the default; number by number. */
function retriesOf(entry: ModelEntry, definition: ModelDefinition): RetryPolicy {
  checkRetries(definition.retries, `The model ${definition.name}`);
  const { crashes, errors, delaySeconds } = { ...definition.retries, ...entry.retries };
  return {
    crashes: crashes ?? DEFAULT_RETRIES.crashes,
    errors: errors ?? DEFAULT_RETRIES.errors,
    delayMs: delaySeconds === undefined ? DEFAULT_RETRIES.delayMs : delaySeconds * 1000,
  };
}

/** The models as they are shown and called. Throws `StartError` if a name is none, or taken. */
export function catalogOf(models: readonly LoadedModel[]): Catalog {
  try {
    return catalog(models, (name) => models.find((model) => model.name === name)!.runner.state);
  } catch (error) {
    throw new StartError((error as Error).message, { cause: error });
  }
}

function runnerOf(
  entry: ModelEntry,
  module: string,
  definition: ModelDefinition,
  { guard, marker, logger }: Surroundings,
): Runner {
  const concurrency = entry.concurrency ?? definition.concurrency ?? 1;
  if (entry.runner === "inline") return inlineRunner({ definition, concurrency });
  const runner = processRunner({
    module,
    concurrency,
    guard,
    marker,
    processes: entry.processes ?? 1,
    // How a load goes is of interest to all; what is printed during runs may quote their inputs.
    onOutput: (line) => {
      const level = runner.state.type === "ready" ? "debug" : "info";
      logger[level]({ model: definition.name, line }, "model says");
    },
  });
  return runner;
}

async function importModel(module: string, specifier: string): Promise<ModelDefinition> {
  let found: unknown;
  try {
    found = ((await import(module)) as { readonly default?: unknown }).default;
  } catch (error) {
    throw new StartError(`The model "${specifier}" could not be loaded: ${(error as Error).message}.`, {
      cause: error,
    });
  }
  if (isModel(found)) return found;
  throw new StartError(
    `The module "${specifier}" declares no model; expected export default defineModel({ name, output, input, run }).`,
  );
}

function isModel(value: unknown): value is ModelDefinition {
  if (typeof value !== "object" || value === null) return false;
  const { name, output, input, run } = value as Readonly<Record<string, unknown>>;
  const outputs = ["image", "video", "audio", "text"];
  return (
    typeof name === "string" &&
    outputs.includes(output as string) &&
    typeof input === "object" &&
    input !== null &&
    typeof run === "function"
  );
}
