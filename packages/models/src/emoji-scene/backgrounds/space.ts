import type { Backdrop } from "./backdrop.ts";
import { glow, stars } from "./shapes.ts";

export const space: Backdrop = {
  stand: [0.7, 0.9],
  isFloating: true,
  decor: ["ringed-planet", "satellite", "comet", "glowing-star", "globe-showing-europe-africa", "flying-saucer"],
  paint(canvas) {
    const { width, height, unit, random } = canvas;
    canvas.wash(
      canvas.verticalGradient([
        [0, "#04030f"],
        [0.6, "#150f38"],
        [1, "#2a1550"],
      ]),
    );
    const clouds = ["#7a3fd0", "#2f6fd6", "#d0437f", "#1fa3a8"];
    for (let i = 0; i < 5; i++) {
      glow(
        canvas,
        width * random.next(),
        height * random.next(),
        unit * random.between(0.35, 0.7),
        random.pick(clouds),
        0.55,
      );
    }
    stars(canvas, Math.round(300 * (width / unit)), 1);
    for (let i = 0; i < 7; i++) {
      const [x, y] = [width * random.next(), height * random.next()];
      glow(canvas, x, y, unit * 0.022, "#ffffff", 0.9);
      canvas.line(
        [
          [x - unit * 0.016, y],
          [x + unit * 0.016, y],
        ],
        "#ffffff",
        unit * 0.0015,
        0.8,
      );
      canvas.line(
        [
          [x, y - unit * 0.016],
          [x, y + unit * 0.016],
        ],
        "#ffffff",
        unit * 0.0015,
        0.8,
      );
    }
  },
};
