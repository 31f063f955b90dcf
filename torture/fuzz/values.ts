/** Values for a JSON Schema: some that satisfy it, some just beyond its bounds, some that are something else altogether. */
import type { Random } from "../simulation/random.ts";
import { DATA_URIS, MEDIA } from "./corpus/media.ts";
import { TEXTS } from "./corpus/texts.ts";
import { PRIVATE_NAMES, PRIVATE_URLS } from "./corpus/urls.ts";
import { type Lore, recent } from "./lore.ts";
import type { Schema } from "./operations.ts";

const NUMBERS = [0, -0, 1, -1, 0.5, 1e-7, 5e-324, 1.7976931348623157e308, 2 ** 31, 2 ** 53 + 2, -(2 ** 53), 1e21];
const FILES = Object.values(MEDIA).filter((file) => file.length < 24_000);

export interface Sources {
  readonly random: Random;
  readonly lore: Lore;
  /** Origin of the server's own files. */
  readonly base: string;
  /** Port that no stranger's URL may lead to. */
  readonly privatePort: number;
}

/** An object for `schema`; most of its fields as they should be. */
export function input(sources: Sources, schema: Schema): Record<string, unknown> {
  const { random } = sources;
  const made: Record<string, unknown> = {};
  const required = new Set((schema["required"] as readonly string[] | undefined) ?? []);
  for (const [name, property] of Object.entries((schema["properties"] as Record<string, Schema>) ?? {})) {
    if (name === "fail" || name === "crash") continue; // it would do so
    if (!required.has(name) && random.chance(0.75)) continue;
    if (required.has(name) && random.chance(0.02)) continue;
    made[name] = name === "sleep" ? random.pick([0, 0, 0.01, "0", -1]) : value(sources, property, 0);
  }
  if (random.chance(0.1)) made[random.pick(TEXTS)] = value(sources, {}, 0);
  return made;
}

/** One value for `schema`. */
export function value(sources: Sources, schema: Schema, depth: number): unknown {
  const { random } = sources;
  if (random.chance(0.12) || depth > 5) return anything(sources, depth);
  if (typeof schema["contentMediaType"] === "string") return medium(sources);
  if (Array.isArray(schema["enum"])) return random.pick(schema["enum"]);
  if ("const" in schema) return schema["const"];
  for (const branches of [schema["anyOf"], schema["oneOf"]]) {
    if (Array.isArray(branches)) return value(sources, random.pick(branches as Schema[]), depth + 1);
  }
  switch ([schema["type"]].flat()[0]) {
    case "string":
      return text(random, schema);
    case "integer":
    case "number":
      return number(random, schema);
    case "boolean":
      return random.pick([true, false, "true"]);
    case "array": {
      const most = Math.min(8, Number(schema["maxItems"] ?? 8) + (random.chance(0.1) ? 1 : 0));
      const items = (schema["items"] ?? {}) as Schema;
      return Array.from({ length: random.whole(0, most) }, () => value(sources, items, depth + 1));
    }
    case "object":
      return object(sources, schema, depth);
    default:
      return anything(sources, depth);
  }
}

function object(sources: Sources, schema: Schema, depth: number): unknown {
  const { random } = sources;
  const made: Record<string, unknown> = {};
  for (const [name, property] of Object.entries((schema["properties"] as Record<string, Schema>) ?? {})) {
    if (random.chance(0.8)) made[name] = value(sources, property, depth + 1);
  }
  const more = schema["additionalProperties"];
  const further = typeof more === "object" && more !== null ? (more as Schema) : {};
  if (random.chance(0.3)) made[random.pick(TEXTS)] = value(sources, further, depth + 1);
  return made;
}

function text(random: Random, schema: Schema): string {
  if (random.chance(0.5)) return random.pick(TEXTS);
  const bound = Number(random.pick([schema["maxLength"] ?? 20, schema["minLength"] ?? 1]));
  return random.pick(["a", "ä", "😀", "a-", "a "]).repeat(Math.max(0, bound + random.whole(-1, 1)));
}

function number(random: Random, schema: Schema): number | string {
  const bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"].flatMap((name) =>
    typeof schema[name] === "number" ? [schema[name]] : [],
  );
  const base = random.chance(0.3) || bounds.length === 0 ? random.pick(NUMBERS) : random.pick(bounds);
  const near = base + random.pick([0, 0, 0, 1, -1, 1e-9]);
  return random.chance(0.15) ? String(near) : near;
}

/** A medium in one of the forms that a text can have. */
export function medium({ random, lore, base, privatePort }: Sources): string {
  switch (random.whole(0, 6)) {
    case 0:
      return random.pick(DATA_URIS);
    case 1:
    case 2:
      return `data:image/png;base64,${random.pick(FILES).toString("base64")}`;
    case 3:
      return random.pick(FILES).toString(random.pick(["base64", "base64url", "hex", "latin1"] as const));
    case 4:
      return `${base}/files/${recent(random, lore.files, "a/0/b.png")}`;
    case 5:
      return random.pick(PRIVATE_URLS).replaceAll("PORT", String(privatePort));
    default:
      return random.chance(0.2) ? `http://${random.pick(PRIVATE_NAMES)}:${privatePort}/` : random.pick(TEXTS);
  }
}

function anything(sources: Sources, depth: number): unknown {
  const { random } = sources;
  switch (random.whole(0, 7)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return random.pick(NUMBERS);
    case 3:
      return depth > 4 ? [] : Array.from({ length: random.whole(0, 4) }, () => anything(sources, depth + 1));
    case 4:
      return depth > 4 ? {} : { [random.pick(TEXTS)]: anything(sources, depth + 1) };
    case 5:
      return medium(sources);
    default:
      return random.pick(TEXTS);
  }
}
