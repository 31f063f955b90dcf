/**
 * The icons: drawings from `@iconify-json/fluent-emoji-flat` (MIT), and beside them what
 * `scripts/embed-icons.ts` worked out once: each icon's visible box and the embedding of its name.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { DIMENSIONS } from "../lib/embeddings.ts";
import { phraseOf } from "./icon-names.ts";

/** Icons are drawn on a square of this many units. */
export const ICON_GRID = 32;

/** Vectors are stored as bytes; this is the largest component that a byte holds. The encoder's stay below 0.06. */
const LARGEST_COMPONENT = 1 / 16;

/** Left, top, right, bottom of what is visible, in grid units. */
export type Box = readonly [number, number, number, number];

export interface Icon {
  readonly name: string;
  readonly phrase: string;
  /** Its heading in the icon set, such as "Food & Drink". */
  readonly category: string;
  /** SVG elements without the outer `<svg>`. */
  readonly body: string;
  readonly box: Box;
  /** Degrees, of the colour that fills most of it; none for a grey icon. */
  readonly hue: number | null;
  readonly embedding: Float32Array;
}

export interface IconSet {
  readonly all: readonly Icon[];
  get(name: string): Icon | undefined;
  /** The icon of an emoji character, if it is among those used. */
  ofEmoji(emoji: string): Icon | undefined;
}

/** `weights/emoji-scene/icons.json`, made by the script. Its order is that of the vectors in `icons.int8`. */
export type IconIndex = readonly Pick<Icon, "name" | "category" | "box" | "hue">[];

interface IconifySet {
  readonly icons: Readonly<Record<string, { readonly body: string }>>;
}

const require = createRequire(import.meta.url);

export const WEIGHTS = {
  index: fileURLToPath(new URL("../../weights/emoji-scene/icons.json", import.meta.url)),
  vectors: fileURLToPath(new URL("../../weights/emoji-scene/icons.int8", import.meta.url)),
};

/** Reads one of the icon set's JSON files. */
export async function readIconFile<T>(file: "icons.json" | "metadata.json" | "chars.json"): Promise<T> {
  return JSON.parse(await readFile(require.resolve(`@iconify-json/fluent-emoji-flat/${file}`), "utf8")) as T;
}

export async function loadIcons(): Promise<IconSet> {
  const [set, names, index, vectors] = await Promise.all([
    readIconFile<IconifySet>("icons.json"),
    readIconFile<Readonly<Record<string, string>>>("chars.json"),
    readFile(WEIGHTS.index, "utf8").then((text) => JSON.parse(text) as IconIndex),
    readFile(WEIGHTS.vectors),
  ]);

  const all = index.map((entry, position): Icon => {
    const { name } = entry;
    const drawing = set.icons[name];
    if (drawing === undefined) throw new Error(`the icon set has no "${name}": run scripts/embed-icons.ts`);
    return { ...entry, phrase: phraseOf(name), body: drawing.body, embedding: vectorAt(vectors, position) };
  });
  const byName = new Map(all.map((icon) => [icon.name, icon]));
  return {
    all,
    get: (name) => byName.get(name),
    ofEmoji: (emoji) => byName.get(names[codePoints(emoji)] ?? ""),
  };
}

/** The inverse of `packVector`. */
function vectorAt(bytes: Buffer, position: number): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  for (let i = 0; i < DIMENSIONS; i++) {
    vector[i] = (bytes.readInt8(position * DIMENSIONS + i) / 127) * LARGEST_COMPONENT;
  }
  return vector;
}

export function packVector(vector: Float32Array): Int8Array {
  return Int8Array.from(vector, (component) => {
    const step = Math.round((component / LARGEST_COMPONENT) * 127);
    return Math.max(-127, Math.min(127, step));
  });
}

/** "❤️" → "2764": as the icon set writes characters, without the variation selector. */
function codePoints(emoji: string): string {
  return Array.from(emoji, (character) => character.codePointAt(0) ?? 0)
    .filter((code) => code !== 0xfe0f)
    .map((code) => code.toString(16))
    .join("-");
}
