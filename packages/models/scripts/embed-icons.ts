/**
 * Makes `weights/emoji-scene/`: which icons are used, what part of the grid each fills, and the
 * embedding of its name as bytes. Run it after an update of the icon set or of the selection:
 *
 *     node --conditions=@inferq/source packages/models/scripts/embed-icons.ts
 */
import { writeFile } from "node:fs/promises";
import sharp from "sharp";
import { mainHue } from "../src/emoji-scene/colour.ts";
import { isThing, phraseOf, type Categories } from "../src/emoji-scene/icon-names.ts";
import { ICON_GRID, packVector, readIconFile, WEIGHTS, type Box, type IconIndex } from "../src/emoji-scene/icons.ts";
import { loadEmbeddings } from "../src/lib/embeddings.ts";

const { icons } = await readIconFile<{ icons: Record<string, { body: string }> }>("icons.json");
const { categories } = await readIconFile<{ categories: Categories }>("metadata.json");

const index: IconIndex[number][] = [];
for (const [category, names] of Object.entries(categories)) {
  for (const name of names) {
    if (!isThing(name, category)) continue;
    const shape = await visibleShape(icons[name]!.body);
    if (shape.isFramed) console.log(`left out, a framed scene: ${name}`);
    else index.push({ name, category, box: shape.box, hue: shape.hue });
  }
}

const embeddings = await loadEmbeddings();
const vectors = await embeddings.embed(index.map(({ name }) => phraseOf(name)));
const lines = index.map((icon) => JSON.stringify(icon));
await writeFile(WEIGHTS.index, `[\n${lines.join(",\n")}\n]\n`);
await writeFile(WEIGHTS.vectors, Buffer.concat(vectors.map((vector) => Buffer.from(packVector(vector).buffer))));
console.log(`${index.length} icons`);

/** Scenes with a sky of their own fill the square to its corners, and look pasted in on another background. */
async function visibleShape(body: string): Promise<{ box: Box; hue: number | null; isFramed: boolean }> {
  const scale = 4;
  const size = ICON_GRID * scale;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 ${ICON_GRID} ${ICON_GRID}">${body}</svg>`;
  const pixels = await sharp(Buffer.from(svg)).ensureAlpha().raw().toBuffer();
  const isVisible = (x: number, y: number): boolean => pixels[(y * size + x) * 4 + 3]! > 40;

  let [left, top, right, bottom] = [size, size, 0, 0];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (!isVisible(x, y)) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x + 1);
      bottom = Math.max(bottom, y + 1);
    }
  }
  const inset = 3.5 * scale;
  const corners = [inset, size - inset].flatMap((x) => [inset, size - inset].map((y) => isVisible(x, y)));
  return {
    box: [left / scale, top / scale, right / scale, bottom / scale],
    hue: mainHue(pixels),
    isFramed: corners.every(Boolean),
  };
}
