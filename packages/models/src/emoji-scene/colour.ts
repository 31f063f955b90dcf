/** Colours: mixing for light and distance, and painting an icon in the colour that the prompt names. */
import type { Colour } from "./words.ts";

type Rgb = readonly [number, number, number];
/** Hue in degrees, saturation and lightness 0 to 1. */
type Hsl = readonly [number, number, number];

/** Fills whose hue is nearer than this to the main one belong to it: a rose's petals, not its stem. */
const SAME_HUE = 50;

/** `amount` 0 gives `a`, 1 gives `b`. */
export function mix(a: string, b: string, amount: number): string {
  const [from, to] = [toRgb(a), toRgb(b)];
  return toHex([0, 1, 2].map((i) => (from[i] ?? 0) + ((to[i] ?? 0) - (from[i] ?? 0)) * amount));
}

/**
 * An icon's drawing with its main colour changed: hues near to it turn together, so that shades stay shades.
 *
 * @param main the icon's own main hue; none for a grey icon.
 */
export function recolour(body: string, main: number | null, colour: Colour): string {
  if ("grey" in colour) {
    return mapColours(body, (own) =>
      main === null || isNear(own, main) ? [own[0], 0.04, greyOf(own[2], colour.grey)] : own,
    );
  }
  if (main === null) return mapColours(body, ([, , lightness]) => [colour.hue, 0.7, clamp(lightness * 0.9)]);
  const turn = colour.hue - main;
  return mapColours(body, (own) =>
    isNear(own, main) ? [(own[0] + turn + 360) % 360, Math.max(own[1], 0.55), own[2]] : own,
  );
}

/** The hue that fills most of an icon. @param pixels RGBA. */
export function mainHue(pixels: Uint8Array): number | null {
  const amounts = new Float64Array(360);
  let colourful = 0;
  let visible = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    if ((pixels[i + 3] ?? 0) < 128) continue;
    visible++;
    const [hue, saturation, lightness] = toHsl([pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0]);
    if (saturation < 0.2 || lightness < 0.12 || lightness > 0.95) continue;
    colourful++;
    const degree = Math.floor(hue) % 360;
    amounts[degree] = (amounts[degree] ?? 0) + 1;
  }
  if (colourful < visible * 0.15) return null;
  return amounts.reduce((best, amount, hue) => (amount > (amounts[best] ?? 0) ? hue : best), 0);
}

function isNear([hue, saturation]: Hsl, main: number): boolean {
  return saturation > 0.15 && hueDistance(hue, main) < SAME_HUE;
}

/** Shades around the grey asked for, as light and dark as the drawing's own. */
function greyOf(lightness: number, grey: number): number {
  return clamp(grey + (lightness - 0.5) * 0.45);
}

function mapColours(body: string, change: (hsl: Hsl) => Hsl): string {
  return body.replaceAll(/#[0-9a-f]{6}\b|#[0-9a-f]{3}\b/gi, (fill) => toHex(fromHsl(change(toHsl(toRgb(fill))))));
}

function hueDistance(a: number, b: number): number {
  const distance = Math.abs(a - b) % 360;
  return Math.min(distance, 360 - distance);
}

function toRgb(hex: string): Rgb {
  const digits = hex.slice(1).replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3");
  const channel = (start: number): number => Number.parseInt(digits.slice(start, start + 2), 16);
  return [channel(0), channel(2), channel(4)];
}

function toHex(rgb: readonly number[]): string {
  return `#${rgb.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
}

function toHsl([red, green, blue]: Rgb): Hsl {
  const [r, g, b] = [red / 255, green / 255, blue / 255];
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
  const [lightness, spread] = [(most + least) / 2, most - least];
  if (spread === 0) return [0, 0, lightness];
  const sixth = most === r ? ((g - b) / spread + 6) % 6 : most === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  return [sixth * 60, spread / (1 - Math.abs(2 * lightness - 1)), lightness];
}

function fromHsl([hue, saturation, lightness]: Hsl): number[] {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((offset) => {
    const position = (offset + hue / 30) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(position - 3, 9 - position, 1)));
  });
}

function clamp(value: number): number {
  return Math.max(0.05, Math.min(0.97, value));
}
