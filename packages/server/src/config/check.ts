/** Holds a config against its schema; a fault is one sentence: which key, what was expected, what came. */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { StartError } from "./start-error.ts";
import { CONFIG_SCHEMA, type Config, ORIGIN, ORIGIN_OR_ANY, RETRIES_SCHEMA } from "./config.ts";

/** Where a value came from, if not from the file. */
export interface Origin {
  /** Such as `PORT` or `--port`. */
  readonly name: string;
  readonly text: string;
}

/** A config whose defaults are filled in. */
export type Checked = Required<Omit<Config, Optional>> & Pick<Config, Optional>;

/** Keys that have no default: not set means something of its own. */
type Optional = "publicUrl" | "metricsPort" | "keyRequestsPerSecond" | "keyRequestsInFlight";

/** A copy of `config` with defaults filled in. Throws `StartError`. */
export function checkConfig(
  config: Record<string, unknown>,
  configPath: string,
  origins: ReadonlyMap<string, Origin>,
): Checked {
  const copy = structuredClone(config);
  const validate = new Ajv2020({ useDefaults: true, verbose: true, strict: false, validateSchema: false }).compile(
    CONFIG_SCHEMA,
  );
  if (validate(copy)) return copy as unknown as Checked;
  throw new StartError(sentenceOf(validate.errors![0]!, configPath, origins));
}

/** Holds the `retries` of a model's own definition against their schema. Throws `StartError` with a sentence that begins with `whose`. */
export function checkRetries(retries: unknown, whose: string): void {
  if (retries === undefined) return;
  const validate = new Ajv2020({ verbose: true, strict: false, validateSchema: false }).compile({
    type: "object",
    properties: { retries: RETRIES_SCHEMA },
  });
  if (!validate({ retries })) throw new StartError(sentenceOf(validate.errors![0]!, whose, new Map()));
}

function sentenceOf(error: ErrorObject, configPath: string, origins: ReadonlyMap<string, Origin>): string {
  const key = keyOf(error.instancePath);
  if (error.keyword === "additionalProperties") {
    const unknown = String(error.params["additionalProperty"]);
    const known = Object.keys(error.parentSchema?.["properties"] as object);
    const near = nearest(unknown, known);
    const hint = near === undefined ? `known keys are ${known.join(", ")}` : `did you mean "${near}"?`;
    return `${configPath}: unknown key "${key === "" ? "" : `${key}.`}${unknown}"; ${hint}`.replace(/[^?]$/, "$&.");
  }
  if (error.keyword === "required") {
    return `${configPath}: ${key === "" ? "" : `${key} lacks `}"${String(error.params["missingProperty"])}" ${key === "" ? "is missing; it" : "which"} is required.`;
  }
  const origin = origins.get(key.split(/[.[]/)[0]!);
  const place = origin?.name ?? `${configPath}: ${key}`;
  const got = origin === undefined ? JSON.stringify(error.data) : JSON.stringify(origin.text);
  return `${place} must be ${expected(error)}, got ${got}.`;
}

/** "/models/0/name" as "models[0].name". */
function keyOf(instancePath: string): string {
  return instancePath
    .split("/")
    .slice(1)
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}

function expected(error: ErrorObject): string {
  const schema = (error.parentSchema ?? {}) as Record<string, unknown>;
  if (Array.isArray(schema["enum"])) return `one of ${schema["enum"].map((value) => JSON.stringify(value)).join(", ")}`;
  if (schema["pattern"] === ORIGIN) return `an origin such as "https://api.example.com", without a path`;
  if (schema["pattern"] === ORIGIN_OR_ANY) return `an origin such as "https://app.example.com", or "*"`;
  if (error.keyword === "not") return `a name other than "requests" and "models"`;
  if (error.keyword === "pattern") return `a name of letters, digits, ".", "_" and "-"`;
  if (error.keyword === "minItems") return "a list with at least one entry";
  if (error.keyword === "minLength") return "a text that is not empty";
  const { minimum, maximum, exclusiveMinimum } = schema as Readonly<Record<string, number | undefined>>;
  const types = [schema["type"]].flat() as (keyof typeof NAMES)[];
  const kind = types.map((type) => NAMES[type]).join(" or ");
  if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `${kind} of at least ${minimum}`;
  if (exclusiveMinimum !== undefined) return `${kind} above ${exclusiveMinimum}`;
  return kind;
}

const NAMES = {
  integer: "a whole number",
  number: "a number",
  string: "a text",
  array: "a list",
  object: "an object",
} as const;

/** The known key that `word` most likely meant: at most a third of it wrong. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((key) => ({ key, distance: editDistance(word.toLowerCase(), key.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.ceil(word.length / 3) ? best.key : undefined;
}

/** Levenshtein's distance: the fewest single-letter changes from `a` to `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
