import { mix } from "../colour.ts";
import type { Canvas, Stop } from "../svg.ts";
import type { Light } from "../words.ts";
import type { Backdrop } from "./backdrop.ts";
import { glow, hills, lit, ripples } from "./shapes.ts";
import { sky } from "./sky.ts";

const WATER: Readonly<Record<Light, readonly Stop[]>> = {
  day: [
    [0, "#7fd0ee"],
    [0.35, "#39a5d8"],
    [1, "#12659f"],
  ],
  sunset: [
    [0, "#f3a26b"],
    [0.3, "#a5537d"],
    [1, "#2e2459"],
  ],
  night: [
    [0, "#35498f"],
    [0.4, "#172658"],
    [1, "#080f2e"],
  ],
  studio: [
    [0, "#7fd0ee"],
    [0.35, "#39a5d8"],
    [1, "#12659f"],
  ],
};

export const sea: Backdrop = {
  stand: [0.76, 0.92],
  isFloating: false,
  decor: ["sailboat", "bird", "dolphin", "spouting-whale"],
  paint(canvas, { light, weather }, withoutSun) {
    const { width, height, unit } = canvas;
    const horizon = 0.6;
    const sun = sky(canvas, { horizon, light, withoutSun, isCloudy: weather === "rain" });
    canvas.rect(0, height * horizon, width, height * (1 - horizon), canvas.verticalGradient(WATER[light]));
    if (light === "sunset") {
      glow(canvas, sun, height * horizon, unit * 0.34, "#ffe3a0", 0.6);
      ripples(canvas, height * horizon, 70, "#ffdf9a", sun);
    }
    ripples(canvas, height * horizon, Math.round(36 * (width / unit)), light === "night" ? "#8ea4e8" : "#ffffff");
  },
};

export const beach: Backdrop = {
  stand: [0.8, 0.94],
  isFloating: false,
  decor: ["palm-tree", "umbrella-on-ground", "spiral-shell", "crab", "coconut", "sailboat"],
  paint(canvas, { light, weather }, withoutSun) {
    const { width, height, unit } = canvas;
    const horizon = 0.52;
    const sun = sky(canvas, { horizon, light, withoutSun, isCloudy: weather === "rain" });
    canvas.rect(0, height * horizon, width, height * 0.4, canvas.verticalGradient(WATER[light]));
    ripples(canvas, height * horizon, Math.round(26 * (width / unit)), "#ffffff");
    if (light === "sunset") ripples(canvas, height * horizon, 40, "#ffdf9a", sun);
    hills(canvas, height * 0.725, unit * 0.012, lit("#ffffff", light));
    hills(canvas, height * 0.735, unit * 0.012, lit("#e9cf97", light));
    hills(canvas, height * 0.755, unit * 0.014, lit("#f7e2ae", light));
    grains(canvas, 0.78, lit("#c9a765", light));
  },
};

export const underwater: Backdrop = {
  stand: [0.9, 0.95],
  isFloating: true,
  decor: ["tropical-fish", "fish", "coral", "octopus", "crab", "spiral-shell", "jellyfish", "turtle"],
  paint(canvas, { light }) {
    const { width, height, unit, random } = canvas;
    const deep = light === "night" ? 0.45 : 0;
    canvas.wash(
      canvas.verticalGradient([
        [0, mix("#6fe0ee", "#071a4a", deep)],
        [0.45, mix("#1f97cf", "#071a4a", deep)],
        [1, mix("#0a3f80", "#040d2c", deep)],
      ]),
    );
    for (let i = 0; i < 6 * (width / unit); i++) {
      const x = width * random.next();
      const [spread, lean] = [unit * random.between(0.03, 0.08), unit * random.between(-0.25, 0.05)];
      const beam = canvas.verticalGradient([
        [0, "#ffffff", 0.24],
        [1, "#ffffff", 0],
      ]);
      canvas.polygon(
        [
          [x, -4],
          [x + spread, -4],
          [x + spread * 2.4 + lean, height * 0.85],
          [x + lean, height * 0.85],
        ],
        beam,
      );
    }
    hills(canvas, height * 0.86, unit * 0.025, mix("#2b6f9c", "#0a3f80", 0.35));
    seaweed(canvas);
    hills(canvas, height * 0.92, unit * 0.018, mix("#e6cf97", "#1b5a8e", 0.3 + deep * 0.5));
    for (let i = 0; i < 34 * (width / unit); i++) {
      const [x, y, size] = [
        width * random.next(),
        height * random.between(0.02, 0.9),
        unit * random.between(0.003, 0.012),
      ];
      canvas.circle(x, y, size, "#ffffff", 0.22);
      canvas.circle(x - size * 0.3, y - size * 0.3, size * 0.3, "#ffffff", 0.7);
    }
  },
};

function seaweed(canvas: Canvas): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < 12 * (width / unit); i++) {
    const x = width * random.next();
    const tall = unit * random.between(0.08, 0.24);
    const phase = random.between(0, 6);
    const stem = Array.from({ length: 12 }, (_, step): [number, number] => {
      const up = step / 11;
      return [x + Math.sin(phase + up * 5) * unit * 0.014 * up, height * 0.94 - tall * up];
    });
    canvas.line(stem, random.pick(["#1f7a5c", "#2c9a66", "#176a63"]), unit * random.between(0.007, 0.013), 0.75);
  }
}

function grains(canvas: Canvas, from: number, colour: string): void {
  const { width, height, unit, random } = canvas;
  for (let i = 0; i < 110 * (width / unit); i++) {
    canvas.circle(
      width * random.next(),
      height * random.between(from, 1),
      unit * random.between(0.0008, 0.002),
      colour,
      0.6,
    );
  }
}
