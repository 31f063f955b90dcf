import { mix } from "../colour.ts";
import type { Canvas } from "../svg.ts";
import type { Light } from "../words.ts";
import type { Backdrop } from "./backdrop.ts";
import { glow, lit } from "./shapes.ts";
import { sky } from "./sky.ts";

const NEON = ["#ff4fa3", "#37e0ff", "#a46bff", "#ffd23f"];

export const city: Backdrop = {
  stand: [0.86, 0.95],
  isFloating: false,
  decor: ["taxi", "bus", "bicycle", "deciduous-tree", "bird", "fire-engine"],
  paint(canvas, { light, weather }, withoutSun) {
    const { width, height, unit } = canvas;
    sky(canvas, { horizon: 0.8, light, withoutSun, isCloudy: weather === "rain" });
    buildings(canvas, 0.82, 0.5, lit("#a9b8d6", light), light, false);
    buildings(canvas, 0.83, 0.36, lit("#7488b3", light), light, light === "night");
    canvas.rect(0, height * 0.82, width, height * 0.03, lit("#b8b5b0", light));
    canvas.rect(
      0,
      height * 0.845,
      width,
      height * 0.16,
      canvas.verticalGradient([
        [0, lit("#5b5f6b", light)],
        [1, lit("#3c3f49", light)],
      ]),
    );
    for (let x = unit * 0.03; x < width; x += unit * 0.16) {
      canvas.line(
        [
          [x, height * 0.925],
          [x + unit * 0.08, height * 0.925],
        ],
        lit("#f4e9c8", light),
        unit * 0.007,
        0.8,
      );
    }
  },
};

export const table: Backdrop = {
  stand: [0.8, 0.9],
  isFloating: false,
  decor: ["teapot", "teacup-without-handle", "potted-plant", "candle", "books", "red-apple", "honey-pot", "cookie"],
  paint(canvas, { light }) {
    const { width, height, unit } = canvas;
    if (light === "studio") studioWall(canvas, "#4a5360", "#171b22");
    else room(canvas, light);
    if (light === "night") glow(canvas, width / 2, height * 0.3, unit * 0.9, "#ffc46b", 0.6);
    const edge = height * 0.68;
    canvas.rect(
      0,
      edge,
      width,
      height - edge,
      canvas.verticalGradient([
        [0, lit("#c58a52", light)],
        [1, lit("#8a5429", light)],
      ]),
    );
    woodGrain(canvas, edge, lit("#5e3716", light));
    canvas.rect(0, edge, width, unit * 0.006, lit("#e3b482", light), 0.8);
    if (light === "night") glow(canvas, width / 2, height * 0.84, unit * 0.6, "#ffb95e", 0.45);
    if (light === "studio") {
      glow(canvas, width / 2, height * 0.82, unit * 0.62, "#ffe9c9", 0.55);
      canvas.wash(
        canvas.radialGradient([
          [0.45, "#000000", 0],
          [1, "#000000", 0.5],
        ]),
      );
    }
  },
};

export const studio: Backdrop = {
  stand: [0.8, 0.88],
  isFloating: false,
  decor: ["sparkles", "confetti-ball", "balloon", "star", "red-heart"],
  paint(canvas, { light }) {
    const { width, height, unit, random } = canvas;
    const [bright, dark] = random.pick([
      ["#fdf3e7", "#e9b99a"],
      ["#eef6ff", "#a9c3e6"],
      ["#f3effd", "#b9a9e0"],
      ["#effaf3", "#9fd0b4"],
      ["#fff3f5", "#f0a9b8"],
    ] as const);
    const isDim = light === "night";
    studioWall(canvas, isDim ? mix(bright, "#141a3a", 0.75) : bright, isDim ? mix(dark, "#0a0e24", 0.8) : dark);
    canvas.ellipse(
      width / 2,
      height * 0.95,
      width * 0.75,
      height * 0.22,
      isDim ? "#ffffff" : mix(dark, "#ffffff", 0.35),
      isDim ? 0.06 : 0.5,
    );
    for (let i = 0; i < 16; i++) {
      const size = unit * random.between(0.012, 0.05);
      canvas.circle(
        width * random.next(),
        height * random.between(0.03, 0.7),
        size,
        "#ffffff",
        random.between(0.12, 0.4),
      );
    }
  },
};

function studioWall(canvas: Canvas, bright: string, dark: string): void {
  const { width, height } = canvas;
  canvas.wash(dark);
  const reach = Math.max(width, height) * 0.75;
  canvas.circle(
    width / 2,
    height * 0.42,
    reach,
    canvas.radialGradient([
      [0, bright],
      [0.35, mix(bright, dark, 0.25)],
      [1, dark],
    ]),
  );
}

function room(canvas: Canvas, light: Light): void {
  const { width, height, unit, random } = canvas;
  const wall = random.pick(["#f3e6d2", "#e4ecdf", "#f2dfd7", "#dfe8ef"]);
  canvas.wash(
    canvas.verticalGradient([
      [0, lit(wall, light)],
      [1, lit(mix(wall, "#b98d62", 0.35), light)],
    ]),
  );

  const [w, h] = [unit * 0.36, unit * 0.4];
  const x = random.pick([width * 0.08, width * 0.92 - w]);
  const y = height * 0.1;
  canvas.rect(x - unit * 0.018, y - unit * 0.018, w + unit * 0.036, h + unit * 0.036, lit("#fffaf2", light));
  const view = {
    day: ["#8ccbf7", "#e6f6ff"],
    studio: ["#8ccbf7", "#e6f6ff"],
    sunset: ["#8d3f83", "#ffb763"],
    night: ["#0a1030", "#2f417f"],
  }[light];
  canvas.rect(
    x,
    y,
    w,
    h,
    canvas.verticalGradient([
      [0, view[0] ?? ""],
      [1, view[1] ?? ""],
    ]),
  );
  if (light === "day") {
    canvas.ellipse(x + w * 0.3, y + h * 0.96, w * 0.3, h * 0.12, "#8cc97a");
    canvas.ellipse(x + w * 0.72, y + h * 0.97, w * 0.27, h * 0.18, "#74b862");
  }
  canvas.rect(x + w / 2 - unit * 0.006, y, unit * 0.012, h, lit("#fffaf2", light));
  canvas.rect(x, y + h / 2 - unit * 0.006, w, unit * 0.012, lit("#fffaf2", light));
  canvas.rect(x - unit * 0.03, y + h + unit * 0.018, w + unit * 0.06, unit * 0.022, lit("#efe3d0", light));
}

function woodGrain(canvas: Canvas, edge: number, colour: string): void {
  const { width, height, unit, random } = canvas;
  for (let i = 1; i < 4; i++) {
    const y = edge + (height - edge) * (i / 4) ** 1.2;
    canvas.line(
      [
        [0, y],
        [width, y],
      ],
      colour,
      unit * 0.003,
      0.45,
    );
  }
  for (let i = 0; i < 34; i++) {
    const y = random.between(edge + unit * 0.01, height);
    const from = width * random.between(-0.2, 0.9);
    const grain = Array.from({ length: 7 }, (_, step): [number, number] => [
      from + width * 0.07 * step,
      y + Math.sin(step + y) * unit * 0.003,
    ]);
    canvas.line(grain, colour, unit * random.between(0.0008, 0.0022), 0.3);
  }
}

function buildings(
  canvas: Canvas,
  foot: number,
  tallest: number,
  colour: string,
  light: Light,
  hasNeon: boolean,
): void {
  const { width, height, unit, random } = canvas;
  const ground = height * foot;
  const isLit = light === "night" || light === "sunset";
  for (let x = -unit * 0.05; x < width;) {
    const w = unit * random.between(0.09, 0.17);
    const h = Math.max(unit, height * 0.7) * tallest * random.between(0.5, 1.15);
    const top = ground - h;
    canvas.rect(
      x,
      top,
      w,
      h,
      canvas.verticalGradient([
        [0, colour],
        [1, mix(colour, isLit ? "#c98a8a" : "#ffffff", 0.22)],
      ]),
    );
    if (random.next() < 0.3)
      canvas.line(
        [
          [x + w / 2, top],
          [x + w / 2, top - unit * 0.05],
        ],
        colour,
        unit * 0.005,
      );
    const pane = unit * 0.014;
    for (let px = x + pane; px < x + w - pane * 1.5; px += pane * 1.9) {
      for (let py = top + pane * 1.5; py < ground - pane * 2; py += pane * 2.3) {
        if (random.next() > (isLit ? 0.45 : 0.8)) continue;
        canvas.rect(
          px,
          py,
          pane,
          pane * 1.3,
          isLit ? random.pick(["#ffe39a", "#ffd37a", "#fff2c9"]) : "#eaf4ff",
          isLit ? 0.9 : 0.55,
        );
      }
    }
    if (hasNeon && random.next() < 0.6) {
      const sign = random.pick(NEON);
      glow(canvas, x + w * 0.5, top + h * 0.3, unit * 0.11, sign, 0.6);
      canvas.rect(x + w * 0.38, top + h * 0.18, w * 0.24, h * 0.26, sign, 0.92);
    }
    x += w + unit * random.between(0.002, 0.012);
  }
}
