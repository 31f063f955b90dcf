import { type Pixels, type Sharp, withAlpha } from "../lib/image.ts";

/** The sixteen basic colours of CSS, as red, green, blue. */
const COLOURS = {
  aqua: [0, 255, 255],
  black: [0, 0, 0],
  blue: [0, 0, 255],
  fuchsia: [255, 0, 255],
  gray: [128, 128, 128],
  green: [0, 128, 0],
  lime: [0, 255, 0],
  maroon: [128, 0, 0],
  navy: [0, 0, 128],
  olive: [128, 128, 0],
  purple: [128, 0, 128],
  red: [255, 0, 0],
  silver: [192, 192, 192],
  teal: [0, 128, 128],
  white: [255, 255, 255],
  yellow: [255, 255, 0],
} as const;

export const COLOUR_NAMES: readonly string[] = Object.keys(COLOURS);

/** The blur's strength as a share of the photo's longer side. */
const BLUR = 1 / 60;

/** The whole surface in one colour: a name of the list, #rgb or #rrggbb. */
export function colourBackground({ width, height }: Pixels, colour: string): Uint8Array {
  const rgb = parseColour(colour);
  return new Uint8Array(width * height * 3).map((_, i) => rgb[i % 3] ?? 0);
}

/** Longest side at which is blurred. The blur takes out all detail that a smaller picture cannot hold, and its cost grows with the third power of the side. */
const BLURRED_SIDE = 1024;

/** The photo out of focus, without the person: their colours would glow around them. */
export async function blurredBackground(sharp: Sharp, photo: Pixels, matte: Uint8Array): Promise<Uint8Array> {
  const { width, height, rgb } = photo;
  // sharp weighs colours by alpha when it blurs. A little weight for the person keeps the colour
  // defined where nothing else is near.
  const weights = matte.map((value) => Math.max(255 - value, 1));
  const small = await sharp(withAlpha(rgb, weights), { limitInputPixels: false, raw: { width, height, channels: 4 } })
    .resize(BLURRED_SIDE, BLURRED_SIDE, { fit: "inside", withoutEnlargement: true })
    .blur(Math.max(1, Math.min(BLURRED_SIDE, Math.max(width, height)) * BLUR))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width: smallWidth, height: smallHeight } = small.info;
  return sharp(small.data, { raw: { width: smallWidth, height: smallHeight, channels: 3 } })
    .resize(width, height, { fit: "fill" })
    .raw()
    .toBuffer();
}

/** The person over the background, opaque. */
export function compose({ width, height, rgb }: Pixels, matte: Uint8Array, background: Uint8Array): Pixels {
  const composed = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i++) {
    const share = (matte[Math.floor(i / 3)] ?? 0) / 255;
    composed[i] = Math.round((rgb[i] ?? 0) * share + (background[i] ?? 0) * (1 - share));
  }
  return { width, height, rgb: composed };
}

function parseColour(colour: string): readonly number[] {
  if (!colour.startsWith("#")) return COLOURS[colour as keyof typeof COLOURS];
  const digits = colour.length === 4 ? colour.replace(/[0-9a-f]/gi, "$&$&") : colour;
  return [1, 3, 5].map((at) => Number.parseInt(digits.slice(at, at + 2), 16));
}
