import { mix } from "../colour.ts";
import type { Canvas, Stop } from "../svg.ts";
import type { Light } from "../words.ts";
import { clouds, glow, stars } from "./shapes.ts";

const SKIES: Readonly<Record<Light, readonly Stop[]>> = {
  day: [
    [0, "#3f9bea"],
    [0.6, "#9fd4fa"],
    [1, "#e3f5ff"],
  ],
  sunset: [
    [0, "#2c2a6b"],
    [0.35, "#8d3f83"],
    [0.65, "#f0705f"],
    [0.88, "#ffb763"],
    [1, "#ffe1a0"],
  ],
  night: [
    [0, "#070b2a"],
    [0.6, "#1b2a66"],
    [1, "#40549c"],
  ],
  studio: [
    [0, "#dfe6ee"],
    [1, "#f7f5f0"],
  ],
};

export interface SkyOptions {
  /** Where the sky ends, as a part of the height. */
  readonly horizon: number;
  readonly light: Light;
  /** The prompt shows a sun or moon of its own. */
  readonly withoutSun: boolean;
  readonly isCloudy: boolean;
}

/** The sky with its sun, moon, stars and clouds. Returns where the sun stands, for what mirrors it. */
export function sky(canvas: Canvas, { horizon, light, withoutSun, isCloudy }: SkyOptions): number {
  const { width, height, unit, random } = canvas;
  const bottom = height * horizon;
  const grey = isCloudy ? 0.45 : 0;
  const stops = SKIES[light].map(([offset, colour]): Stop => [offset, mix(colour, "#6f7b8c", grey)]);
  canvas.rect(0, 0, width, bottom + height * 0.06, canvas.verticalGradient(stops));

  const sun = width * random.between(0.3, 0.7);
  if (light === "sunset") {
    glow(canvas, sun, bottom, unit * 0.62, "#ffe08a", 0.85);
    if (!withoutSun)
      canvas.circle(
        sun,
        bottom - unit * 0.03,
        unit * 0.105,
        canvas.verticalGradient([
          [0, "#fff6c9"],
          [1, "#ffc861"],
        ]),
      );
    streaks(canvas, bottom);
  } else if (light === "night") {
    stars(canvas, Math.round(150 * (width / unit)), horizon);
    if (!withoutSun) moon(canvas, width * random.between(0.72, 0.86), height * random.between(0.13, 0.2));
  } else if (light === "day") {
    const x = width * random.pick([random.between(0.1, 0.22), random.between(0.78, 0.9)]);
    if (!withoutSun && !isCloudy) {
      glow(canvas, x, height * 0.13, unit * 0.26, "#fff7c2", 0.95);
      canvas.circle(x, height * 0.13, unit * 0.055, "#fff4b0");
    }
    clouds(canvas, isCloudy ? "#c9d2dc" : "#ffffff", Math.round(2.4 * (width / unit)) + (isCloudy ? 3 : 0));
  }
  return sun;
}

/** Thin bands of cloud that catch the last light. */
function streaks(canvas: Canvas, bottom: number): void {
  const { width, unit, random } = canvas;
  for (let i = 0; i < 9; i++) {
    const y = bottom * random.between(0.3, 0.9);
    const colour = mix("#ffd9a0", "#7b3f80", 1 - y / bottom);
    canvas.ellipse(
      width * random.next(),
      y,
      unit * random.between(0.12, 0.34),
      unit * random.between(0.005, 0.013),
      colour,
      0.7,
    );
  }
}

function moon(canvas: Canvas, x: number, y: number): void {
  const { unit } = canvas;
  const radius = unit * 0.062;
  glow(canvas, x, y, radius * 3.6, "#e8edff", 0.5);
  canvas.circle(x, y, radius, "#fbf5da");
  for (const [dx, dy, size] of [
    [-0.35, -0.2, 0.22],
    [0.25, 0.3, 0.16],
    [0.3, -0.4, 0.12],
  ] as const) {
    canvas.circle(x + dx * radius, y + dy * radius, size * radius, "#e6dcb4", 0.8);
  }
}
