/**
 * Decimal strings become numbers and "true"/"false" booleans where the schema asks for that, for
 * many clients send numbers as strings (in-practice, "Submit"). Nothing else is coerced: not null,
 * not hex, not an exponent, not Infinity, not the empty string. ajv's own coercion does all of those.
 */
import type { JsonSchema } from "./model.ts";

/** A plain decimal: an optional minus, digits, and a fraction perhaps. */
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** `value` with its strings coerced to what `schema` asks for; the same object where nothing changed. */
export function coerce(value: unknown, schema: JsonSchema): unknown {
  if (typeof value === "string") return coerceString(value, schema);
  if (Array.isArray(value)) return coerceItems(value, schema);
  if (typeof value === "object" && value !== null) return coerceFields(value as Record<string, unknown>, schema);
  return value;
}

function coerceString(text: string, schema: JsonSchema): unknown {
  const types = typesOf(schema);
  if (types.has("string") || allows(schema, text)) return text;
  if ((types.has("number") || types.has("integer")) && DECIMAL.test(text)) {
    const number = Number(text);
    // A whole number that a double cannot hold would become another one.
    if (Number.isFinite(number) && (text.includes(".") || Number.isSafeInteger(number))) return number;
  }
  if (types.has("boolean") && (text === "true" || text === "false")) return text === "true";
  return text;
}

function coerceItems(items: readonly unknown[], schema: JsonSchema): unknown {
  const itemSchema = schema["items"];
  if (!isSchema(itemSchema)) return items;
  let changed = false;
  const coerced = items.map((item) => {
    const next = coerce(item, itemSchema);
    changed ||= next !== item;
    return next;
  });
  return changed ? coerced : items;
}

function coerceFields(fields: Record<string, unknown>, schema: JsonSchema): unknown {
  const properties = schema["properties"];
  if (!isSchema(properties)) return fields;
  let coerced = fields;
  for (const name of Object.keys(properties)) {
    const property = properties[name];
    if (!Object.hasOwn(fields, name) || !isSchema(property)) continue;
    const next = coerce(fields[name], property);
    if (next === fields[name]) continue;
    if (coerced === fields) coerced = { ...fields };
    coerced[name] = next;
  }
  return coerced;
}

/** The types that `schema` names itself or in the branches of `anyOf` and `oneOf`. */
function typesOf(schema: JsonSchema): Set<string> {
  const types = new Set<string>();
  const type = schema["type"];
  if (typeof type === "string") types.add(type);
  if (Array.isArray(type)) for (const name of type) types.add(String(name));
  for (const branches of [schema["anyOf"], schema["oneOf"]]) {
    if (!Array.isArray(branches)) continue;
    for (const branch of branches) if (isSchema(branch)) for (const name of typesOf(branch)) types.add(name);
  }
  return types;
}

/** Whether the string itself is one of the values asked for. */
function allows(schema: JsonSchema, text: string): boolean {
  const values = schema["enum"];
  return schema["const"] === text || (Array.isArray(values) && values.includes(text));
}

/** Whether `value` is a schema object (and not `true`, `false` or nothing). */
export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
