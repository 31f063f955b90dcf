/**
 * From what a client sent to the canonical input: strings coerced, unknown fields left out, checked
 * against the model's schema, defaults filled in. Pure; media stay as they came.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { InferqError } from "../core/errors.ts";
import { bounded, TookTooLong } from "./bounded.ts";
import { coerce, isSchema } from "./coerce.ts";
import type { JsonSchema } from "./model.ts";

/** Input that satisfies the schema, and the top-level fields that the model does not know. */
export interface CheckedInput {
  readonly input: Record<string, unknown>;
  readonly unknown: readonly string[];
}

export type InputCheck = (fields: Readonly<Record<string, unknown>>) => CheckedInput;

const MAX_SHOWN = 60;
/** Of a list of values that may be. */
const MAX_CHOICES = 20;
/** Values of an `enum` that are compared one by one with each of what may be many. */
const FEW_CHOICES = 100;
/** From its start, and with nothing that could be matched in two ways: it takes as long as the text is. */
const PLAIN_PATTERN = /^\^(?:[^()|*+?{}\\]|\\[^\dk])*(?:[*+?]|\{\d+(?:,\d*)?\})?\$?$/;

/** Makes the check of one model's input. Throws `InferqError` `invalid_input` with a sentence on the field at fault. */
export function inputCheck(schema: JsonSchema): InputCheck {
  const validate = compile(schema);
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  const check = (known: Record<string, unknown>): Record<string, unknown> => {
    const input = coerce(known, schema) as Record<string, unknown>;
    if (validate(input)) return input;
    throw new InferqError("invalid_input", { detail: describe(validate.errors?.[0], input) });
  };
  const inTime = mayTakeLong(schema) ? boundedCheck(check) : check;
  return (fields) => {
    const known: Record<string, unknown> = {};
    const unknown: string[] = [];
    for (const name of Object.keys(fields)) {
      if (Object.hasOwn(properties, name)) known[name] = fields[name];
      else unknown.push(name);
    }
    return { input: inTime(known), unknown };
  };
}

function boundedCheck<T, R>(check: (value: T) => R): (value: T) => R {
  return (value) => {
    try {
      return bounded(() => check(value));
    } catch (error) {
      if (!(error instanceof TookTooLong)) throw error;
      const detail = "The input takes too long to be held against the model's schema. Send shorter texts and lists.";
      throw new InferqError("invalid_input", { detail });
    }
  };
}

/**
 * Whether `schema` has a keyword whose check can take much longer than its input is long: a pattern that may
 * backtrack, or one that compares everything with everything.
 */
function mayTakeLong(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(mayTakeLong);
  if (!isSchema(schema)) return false;
  const { pattern, patternProperties, uniqueItems, enum: choices } = schema;
  if (typeof pattern === "string" && !PLAIN_PATTERN.test(pattern)) return true;
  if (isSchema(patternProperties) && !Object.keys(patternProperties).every((one) => PLAIN_PATTERN.test(one)))
    return true;
  if (uniqueItems === true || (Array.isArray(choices) && choices.length > FEW_CHOICES)) return true;
  return Object.values(schema).some(mayTakeLong);
}

/** Compiles a model's schema. Throws, with ajv's sentence, when that is not possible. */
function compile(schema: JsonSchema): ValidateFunction {
  // Strict mode refuses annotations such as a form's hints; formats are notes, not checks, in 2020-12. Compiling
  // finds a keyword whose value is none; holding the schema against its meta-schema first would find no more that
  // matters, and compiling that takes longer than all models' schemas together.
  const ajv = new Ajv2020({
    useDefaults: true,
    coerceTypes: false,
    ownProperties: true, // else a field called "constructor" is always there, and never what it should be
    strict: false,
    strictNumbers: true,
    validateFormats: false,
    validateSchema: false,
  });
  return ajv.compile(schema);
}

/** One sentence: the field, what was expected, what came. */
function describe(error: ErrorObject | undefined, input: unknown): string {
  if (error === undefined) return "The input does not match the model's schema.";
  const field = fieldName(error.instancePath);
  if (error.keyword === "required") {
    const missing = error.params["missingProperty"] as string;
    return `${field === "" ? missing : `${field}.${missing}`} is required.`;
  }
  const came = shown(valueAt(input, error.instancePath));
  return `${field === "" ? "The input" : field} must be ${expected(error)}, got ${came}.`;
}

function expected(error: ErrorObject): string {
  const { keyword, params, message } = error;
  switch (keyword) {
    case "type":
      return [params["type"]].flat().map(article).join(" or ");
    case "enum":
      return `one of ${choices(params["allowedValues"] as unknown[])}`;
    case "const":
      return JSON.stringify(params["allowedValue"]);
    case "minimum":
      return `at least ${params["limit"]}`;
    case "maximum":
      return `at most ${params["limit"]}`;
    case "exclusiveMinimum":
      return `greater than ${params["limit"]}`;
    case "exclusiveMaximum":
      return `less than ${params["limit"]}`;
    case "multipleOf":
      return `a multiple of ${params["multipleOf"]}`;
    case "minLength":
      return params["limit"] === 1
        ? "a string that is not empty"
        : `a string of at least ${params["limit"]} characters`;
    case "maxLength":
      return `a string of at most ${params["limit"]} characters`;
    case "minItems":
      return `a list of at least ${params["limit"]}`;
    case "maxItems":
      return `a list of at most ${params["limit"]}`;
    case "pattern":
      return `a string that matches ${params["pattern"]}`;
    case "additionalProperties":
      return `an object without the field ${shown(params["additionalProperty"])}`;
    default:
      return `valid: it ${message ?? `breaks "${keyword}"`}`;
  }
}

function choices(values: readonly unknown[]): string {
  const shown = values.slice(0, MAX_CHOICES).map((value) => JSON.stringify(value));
  if (values.length > MAX_CHOICES) shown.push(`or ${values.length - MAX_CHOICES} others`);
  return shown.join(", ");
}

const ARTICLES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "a list",
  null: "null",
};

function article(type: string): string {
  return ARTICLES[type] ?? type;
}

/** "/points/0/x" → "points[0].x". */
function fieldName(pointer: string): string {
  let name = "";
  for (const part of parts(pointer)) {
    if (/^\d+$/.test(part)) name += `[${part}]`;
    else name += `${name === "" ? "" : "."}${part.slice(0, MAX_SHOWN)}`; // the client's own, perhaps
  }
  return name.length > 4 * MAX_SHOWN ? `${name.slice(0, 4 * MAX_SHOWN)}…` : name;
}

function valueAt(input: unknown, pointer: string): unknown {
  let value = input;
  for (const part of parts(pointer)) {
    value = (value as Record<string, unknown> | undefined)?.[part];
  }
  return value;
}

function parts(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value as JSON, shortened: an input may hold a whole photo. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  const start = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value;
  return start.isWellFormed() ? JSON.stringify(start) : JSON.stringify(start.toWellFormed());
}
