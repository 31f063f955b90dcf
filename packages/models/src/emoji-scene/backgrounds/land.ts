import { mix } from "../colour.ts";
import type { Canvas } from "../svg.ts";
import type { Backdrop } from "./backdrop.ts";
import { conifer, hills, lit, peaks } from "./shapes.ts";
import { sky } from "./sky.ts";

export const meadow: Backdrop = {
  stand: [0.74, 0.93],
  isFloating: false,
  decor: ["tulip", "sunflower", "butterfly", "blossom", "honeybee", "deciduous-tree", "lady-beetle", "mushroom"],
  paint(canvas, { light, weather }, withoutSun) {
    const { height, unit } = canvas;
    sky(canvas, { horizon: 0.64, light, withoutSun, isCloudy: weather === "rain" });
    hills(canvas, height * 0.6, unit * 0.035, lit("#a9d98a", light));
    hills(canvas, height * 0.67, unit * 0.03, lit("#86c966", light));
    hills(canvas, height * 0.77, unit * 0.025, lit("#67b34c", light));
    grass(canvas, 0.8, lit("#4d9a38", light));
    flowers(canvas, 0.82, [lit("#ffffff", light), lit("#ffd54a", light), lit("#ff8fb1", light)]);
  },
};

export const forest: Backdrop = {
  stand: [0.8, 0.94],
  isFloating: false,
  decor: ["mushroom", "herb", "hedgehog", "owl", "fallen-leaf", "chipmunk", "butterfly"],
  paint(canvas, { light, weather }, withoutSun) {
    const { width, height, unit, random } = canvas;
    sky(canvas, { horizon: 0.62, light, withoutSun, isCloudy: weather === "rain" });
    canvas.rect(
      0,
      height * 0.3,
      width,
      height * 0.5,
      canvas.verticalGradient([
        [0, lit("#d9f0cf", light), 0],
        [1, lit("#d9f0cf", light), 0.9],
      ]),
    );
    for (const [foot, tall, colour, step] of [
      [0.68, 0.34, "#8cbf95", 0.06],
      [0.74, 0.44, "#5a9b6a", 0.085],
      [0.8, 0.54, "#37764a", 0.14],
    ] as const) {
      hills(canvas, height * foot, unit * 0.012, lit(mix(colour, "#9ccc7a", 0.3), light));
      for (let x = 0; x < width + unit * step; x += unit * step * random.between(0.7, 1.3)) {
        // The nearest trees leave the middle free: there stands what the picture is about.
        const isMiddle = Math.abs(x / width - 0.5) < 0.26;
        if (step > 0.1 && isMiddle) continue;
        conifer(canvas, x, height * foot + unit * 0.02, unit * tall * random.between(0.7, 1.1), lit(colour, light));
      }
    }
    hills(canvas, height * 0.82, unit * 0.015, lit("#4f8a45", light));
    grass(canvas, 0.84, lit("#37702f", light));
  },
};

export const mountains: Backdrop = {
  stand: [0.8, 0.94],
  isFloating: false,
  decor: ["evergreen-tree", "goat", "eagle", "rock", "tent"],
  paint(canvas, { light, weather }, withoutSun) {
    const { height, unit } = canvas;
    sky(canvas, { horizon: 0.66, light, withoutSun, isCloudy: weather === "rain" });
    peaks(canvas, height * 0.7, unit * 0.36, lit("#a9bcd8", light), lit("#f5f9ff", light));
    peaks(canvas, height * 0.72, unit * 0.5, lit("#7588ab", light), lit("#ffffff", light));
    hills(canvas, height * 0.69, unit * 0.02, lit("#7fae76", light));
    conifers(canvas, 0.76, 22, lit("#3f7a50", light));
    hills(canvas, height * 0.78, unit * 0.02, lit("#63974f", light));
    grass(canvas, 0.82, lit("#4a7d3c", light));
  },
};

export const snow: Backdrop = {
  stand: [0.76, 0.93],
  isFloating: false,
  decor: ["evergreen-tree", "snowman", "snowflake", "sled", "rabbit"],
  paint(canvas, { light, weather }, withoutSun) {
    const { width, height, unit, random } = canvas;
    sky(canvas, { horizon: 0.64, light, withoutSun, isCloudy: weather !== undefined });
    peaks(canvas, height * 0.68, unit * 0.42, lit("#8ba3c9", light), lit("#ffffff", light));
    hills(canvas, height * 0.66, unit * 0.02, lit("#dcebfa", light));
    conifers(canvas, 0.72, 14, lit("#4d7d70", light));
    hills(canvas, height * 0.73, unit * 0.025, lit("#eaf4fd", light));
    hills(canvas, height * 0.84, unit * 0.02, lit("#ffffff", light));
    for (let i = 0; i < 60 * (width / unit); i++) {
      canvas.circle(
        width * random.next(),
        height * random.next(),
        unit * random.between(0.0015, 0.004),
        "#ffffff",
        0.8,
      );
    }
  },
};

export const desert: Backdrop = {
  stand: [0.76, 0.93],
  isFloating: false,
  decor: ["cactus", "camel", "lizard", "scorpion", "rock", "palm-tree"],
  paint(canvas, { light }, withoutSun) {
    const { height, unit } = canvas;
    sky(canvas, { horizon: 0.64, light, withoutSun, isCloudy: false });
    hills(canvas, height * 0.6, unit * 0.045, lit("#f6d59a", light));
    hills(canvas, height * 0.68, unit * 0.04, lit("#ecb96c", light));
    hills(canvas, height * 0.8, unit * 0.03, lit("#dc9d4c", light));
    windLines(canvas, 0.83, lit("#b97d35", light));
  },
};

function conifers(canvas: Canvas, foot: number, count: number, colour: string): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < count * (width / unit); i++) {
    const x = random.next() * width;
    conifer(canvas, x, height * foot + unit * random.between(-0.01, 0.02), unit * random.between(0.06, 0.13), colour);
  }
}

function grass(canvas: Canvas, from: number, colour: string): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < 90 * (width / unit); i++) {
    const x = width * random.next();
    const depth = random.next();
    const y = height * (from + (0.99 - from) * depth);
    const blade = unit * (0.008 + 0.014 * depth);
    for (const lean of [-0.5, 0, 0.5])
      canvas.line(
        [
          [x, y],
          [x + lean * blade, y - blade],
        ],
        colour,
        unit * 0.0022,
        0.75,
      );
  }
}

function flowers(canvas: Canvas, from: number, colours: readonly string[]): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < 26 * (width / unit); i++) {
    const [x, y] = [width * random.next(), height * random.between(from, 0.99)];
    const petal = unit * random.between(0.003, 0.0055);
    const colour = random.pick(colours);
    for (const [dx, dy] of [
      [-1, 0],
      [1, 0],
      [0, -1],
      [0, 1],
    ] as const)
      canvas.circle(x + dx * petal, y + dy * petal, petal, colour);
    canvas.circle(x, y, petal * 0.8, "#f2a93b");
  }
}

function windLines(canvas: Canvas, from: number, colour: string): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < 16 * (width / unit); i++) {
    const [x, y, length] = [
      width * random.next(),
      height * random.between(from, 0.99),
      unit * random.between(0.05, 0.16),
    ];
    canvas.line(
      [
        [x, y],
        [x + length / 2, y - unit * 0.006],
        [x + length, y],
      ],
      colour,
      unit * 0.003,
      0.3,
    );
  }
}
