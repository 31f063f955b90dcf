/** Shapes that several backgrounds paint. */
import { mix } from "../colour.ts";
import type { Canvas } from "../svg.ts";
import type { Light } from "../words.ts";

/** What light does to the colour of land. */
const AMBIENT: Readonly<Record<Light, readonly [colour: string, amount: number]>> = {
  day: ["#ffffff", 0],
  sunset: ["#6d2f5c", 0.38],
  night: ["#0b1338", 0.62],
  studio: ["#ffffff", 0],
};

export function lit(colour: string, light: Light): string {
  const [ambient, amount] = AMBIENT[light];
  return mix(colour, ambient, amount);
}

/** A rolling edge at height `y`, filled to the bottom, a little darker there. */
export function hills(canvas: Canvas, y: number, swing: number, colour: string): void {
  const { width, height, random } = canvas;
  const [phase, waves] = [random.between(0, 6), random.between(1.2, 2.4) * (width / canvas.unit)];
  const edge: [number, number][] = [];
  for (let x = 0; x <= width + 8; x += 8) {
    const angle = phase + (x / width) * waves * Math.PI;
    edge.push([x, y + swing * Math.sin(angle) + swing * 0.35 * Math.sin(phase * 2 + angle * 2.3)]);
  }
  const paint = canvas.verticalGradient([
    [0, colour],
    [1, mix(colour, "#000000", 0.18)],
  ]);
  canvas.polygon([...edge, [width + 8, height], [0, height]], paint);
}

/** A row of peaks standing on `y`, lit from the left, with snow on top if asked. */
export function peaks(canvas: Canvas, y: number, tallest: number, colour: string, snow?: string): void {
  const { width, random } = canvas;
  const step = tallest * 0.85;
  for (let x = -step * random.next(); x < width + step; x += step) {
    const top = tallest * random.between(0.55, 1);
    const reach = top * random.between(0.95, 1.2);
    const lean = reach * random.between(-0.15, 0.15);
    canvas.polygon(
      [
        [x - reach, y],
        [x + lean, y - top],
        [x + reach, y],
      ],
      colour,
    );
    canvas.polygon(
      [
        [x + lean, y - top],
        [x + reach, y],
        [x + lean * 0.4 + reach * 0.1, y],
      ],
      "#000000",
      0.1,
    );
    if (snow === undefined) continue;
    const at = (side: number, down: number): [number, number] => [
      x + lean + side * reach * down - lean * down,
      y - top + top * down,
    ];
    canvas.polygon(
      [at(0, 0), at(1, 0.34), at(0.55, 0.27), at(0.25, 0.38), at(-0.1, 0.28), at(-0.5, 0.37), at(-1, 0.3)],
      snow,
    );
  }
}

/** Soft round clouds in the upper part of the picture. */
export function clouds(canvas: Canvas, colour: string, count: number): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < count; i++) {
    const x = width * ((i + random.between(0.15, 0.85)) / count);
    const y = height * random.between(0.1, 0.3);
    const size = unit * random.between(0.035, 0.065);
    for (const [dx, dy, scale] of [
      [-1.7, 0.15, 0.7],
      [-0.8, -0.3, 1],
      [0.3, -0.55, 1.2],
      [1.3, -0.1, 0.9],
      [2, 0.2, 0.6],
    ] as const) {
      canvas.circle(x + dx * size, y + dy * size, size * scale, colour, 0.85);
    }
    canvas.ellipse(x + 0.1 * size, y + 0.5 * size, size * 2.6, size * 0.5, colour, 0.85);
  }
}

export function stars(canvas: Canvas, count: number, lowest: number): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < count; i++) {
    canvas.circle(
      width * random.next(),
      height * lowest * random.next(),
      unit * random.between(0.0008, 0.0026),
      "#ffffff",
      random.between(0.35, 1),
    );
  }
}

/** A light that fades outwards. */
export function glow(canvas: Canvas, x: number, y: number, radius: number, colour: string, strength: number): void {
  canvas.circle(
    x,
    y,
    radius,
    canvas.radialGradient([
      [0, colour, strength],
      [0.4, colour, strength * 0.35],
      [1, colour, 0],
    ]),
  );
}

/** A conifer whose foot is at x, y. */
export function conifer(canvas: Canvas, x: number, y: number, height: number, colour: string): void {
  canvas.rect(x - height * 0.025, y - height * 0.12, height * 0.05, height * 0.13, mix(colour, "#3b2415", 0.7));
  for (const [from, to, reach] of [
    [0.08, 0.5, 0.26],
    [0.3, 0.75, 0.2],
    [0.55, 1, 0.14],
  ] as const) {
    canvas.polygon(
      [
        [x - height * reach, y - height * from],
        [x, y - height * to],
        [x + height * reach, y - height * from],
      ],
      colour,
    );
    canvas.polygon(
      [
        [x, y - height * to],
        [x + height * reach, y - height * from],
        [x, y - height * from],
      ],
      "#000000",
      0.08,
    );
  }
}

/** Short light strokes on water below `y`. */
export function ripples(canvas: Canvas, y: number, count: number, colour: string, centre?: number): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < count; i++) {
    const depth = random.next();
    const spread =
      centre === undefined ? width * random.next() : centre + (random.next() - 0.5) * unit * (0.12 + 0.35 * depth);
    const length = unit * (0.02 + 0.07 * depth) * random.between(0.6, 1.4);
    const level = y + (height - y) * (0.03 + 0.95 * depth * depth);
    canvas.line(
      [
        [spread - length, level],
        [spread + length, level],
      ],
      colour,
      unit * (0.0015 + 0.003 * depth),
      random.between(0.25, 0.65),
    );
  }
}
