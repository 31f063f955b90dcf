/** Paints a scene: background, things, weather, light. */
import { BACKDROPS } from "./backgrounds/index.ts";
import { recolour } from "./colour.ts";
import { ICON_GRID, type IconSet } from "./icons.ts";
import { addDecor, arrange, inPaintingOrder, showsSunOrMoon, type Placement } from "./layout.ts";
import { seededRandom } from "./random.ts";
import type { Scene } from "./scene.ts";
import type { Subject } from "./subjects.ts";
import { Canvas } from "./svg.ts";
import type { Weather } from "./words.ts";

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly scene: Scene;
  readonly subjects: readonly Subject[];
}

/** The picture as SVG. The same picture and icons always give the same text. */
export function paint({ width, height, seed, scene, subjects }: Picture, icons: IconSet): string {
  const canvas = new Canvas(width, height, seededRandom(seed));
  const backdrop = BACKDROPS[scene.ground];
  backdrop.paint(canvas, scene, showsSunOrMoon(subjects));

  const placed = arrange(canvas, subjects, backdrop);
  const decor = addDecor(canvas, placed, backdrop, icons, placed.length === 0 ? 4 : placed.length > 3 ? 1 : 2);
  for (const placement of inPaintingOrder([...placed, ...decor])) place(canvas, placement);

  if (scene.weather !== undefined) weather(canvas, scene.weather);
  if (scene.light === "night" && scene.ground !== "space") canvas.wash("#0b1338", 0.16);
  if (scene.light === "sunset") canvas.wash("#ff8a4c", 0.08);
  canvas.wash(
    canvas.radialGradient([
      [0.6, "#000000", 0],
      [1, "#000000", 0.16],
    ]),
  );
  return canvas.toSvg();
}

function place(canvas: Canvas, { icon, colour, x, foot, width, height, flip, tilt, hasShadow }: Placement): void {
  if (hasShadow) {
    const shadow = canvas.radialGradient([
      [0, "#000000", 0.42],
      [0.6, "#000000", 0.2],
      [1, "#000000", 0],
    ]);
    canvas.ellipse(x, foot - height * 0.01, width * 0.56, Math.max(width * 0.085, canvas.unit * 0.012), shadow);
  }
  const [left, , right, bottom] = icon.box;
  const scale = width / (right - left);
  const centre = flip ? ICON_GRID - (left + right) / 2 : (left + right) / 2;
  const body = colour === undefined ? icon.body : recolour(icon.body, icon.hue, colour);
  canvas.icon(body, x - centre * scale, foot - bottom * scale, ICON_GRID * scale, ICON_GRID, flip, tilt);
}

function weather(canvas: Canvas, kind: Weather): void {
  const { width, height, unit, random } = canvas;
  if (kind === "rain") canvas.wash("#3a4656", 0.16);
  for (let i = 0; i < 170 * (width / unit); i++) {
    const [x, y] = [width * random.between(-0.05, 1.05), height * random.next()];
    if (kind === "snowfall")
      canvas.circle(x, y, unit * random.between(0.002, 0.008), "#ffffff", random.between(0.5, 0.95));
    else
      canvas.line(
        [
          [x, y],
          [x - unit * 0.012, y + unit * 0.045],
        ],
        "#dbe9f7",
        unit * 0.002,
        0.5,
      );
  }
}
