/** Which models are served, under which names. Data: no runner in it; how a model does is asked of `stateOf`. */
import { InferqError } from "../core/errors.ts";
import { inputCheck, type CheckedInput, type InputCheck } from "./input.ts";
import type { ModelDefinition } from "./model.ts";

/** A further name of a model. */
export interface Alias {
  readonly name: string;
  /** Says that the model only stands in for another that goes by this name; shown wherever the name is. */
  readonly standIn?: string;
}

export interface ServedModel {
  readonly definition: ModelDefinition;
  readonly aliases?: readonly Alias[];
  /** Longest run, ms. */
  readonly timeoutMs: number;
  /** Requests of it that may wait; not set: as many as the server takes. */
  readonly waitingLimit?: number | undefined;
}

/** `failed`: its setup threw and is tried again, or its input schema does not compile. */
export type ModelState =
  | { readonly type: "starting" | "ready" | "stopped" }
  | { readonly type: "failed"; readonly reason: string };

/** One model of the catalog. */
export interface CatalogEntry {
  readonly definition: ModelDefinition;
  readonly aliases: readonly Alias[];
  /** Longest run, ms. */
  readonly timeoutMs: number;
  /** Requests of it that may wait; null: as many as the server takes. */
  readonly waitingLimit: number | null;
  readonly state: ModelState;
  /** Canonical input; throws `InferqError` `invalid_input`. */
  check(fields: Readonly<Record<string, unknown>>): CheckedInput;
}

export interface Catalog {
  /** In the order they were given, each once. */
  readonly entries: readonly CatalogEntry[];
  /** The model that goes by `name`, its own or an alias. */
  find(name: string): CatalogEntry | undefined;
}

const SLUG = /^[A-Za-z0-9._-]+$/;
/** `/v2/requests` and `/v2/models` are paths of their own. */
const RESERVED: ReadonlySet<string> = new Set(["requests", "models"]);

/** Makes the catalog. Throws an `Error` that names the model if a name is no slug, reserved or taken. */
export function catalog(served: readonly ServedModel[], stateOf: (model: string) => ModelState): Catalog {
  const byName = new Map<string, CatalogEntry>();
  const entries = served.map((model) => {
    const entry = entryOf(model, stateOf);
    for (const name of [entry.definition.name, ...entry.aliases.map((alias) => alias.name)]) {
      checkName(name);
      if (byName.has(name)) throw new Error(`Two models are named "${name}". Give one of them another name.`);
      byName.set(name, entry);
    }
    return entry;
  });
  return { entries, find: (name) => byName.get(name) };
}

function entryOf(
  { definition, aliases = [], timeoutMs, waitingLimit }: ServedModel,
  stateOf: (model: string) => ModelState,
): CatalogEntry {
  const { check, fault } = compiled(definition);
  return {
    definition,
    aliases,
    timeoutMs,
    waitingLimit: waitingLimit ?? null,
    get state() {
      return fault ?? stateOf(definition.name);
    },
    check,
  };
}

/** A schema that does not compile is its model's fault alone: the others are served. */
function compiled({ name, input }: ModelDefinition): { readonly check: InputCheck; readonly fault?: ModelState } {
  try {
    return { check: inputCheck(input) };
  } catch (error) {
    const reason = `its input schema does not compile: ${(error as Error).message}`;
    const check = (): never => {
      throw new InferqError("model_unavailable", { model: name, detail: reason });
    };
    return { check, fault: { type: "failed", reason } };
  }
}

function checkName(name: string): void {
  if (!SLUG.test(name) || name === "." || name === "..") {
    throw new Error(`A model's name must be letters, digits, ".", "_" and "-", got "${name}".`);
  }
  if (RESERVED.has(name)) throw new Error(`No model can be named "${name}": the path /v2/${name} is taken.`);
}
