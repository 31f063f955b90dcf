/** Reads one line: its pixels turned upright at the recogniser's height, then its letters (PP-OCRv4, CTC). */
import type { Pixels } from "../lib/image.ts";
import type { Network, Tensor } from "../lib/onnx.ts";
import { toTensor } from "./detect.ts";
import type { Piece } from "./reading-order.ts";
import { isTurned, type TextBox } from "./geometry.ts";

const LINE_HEIGHT = 48;
/** Longer lines are squeezed to this, pixels. */
const LONGEST_LINE = 3200;
const CENTRED = [0.5, 0.5, 0.5];
/** Texture taken for text reads as letters that the model itself doubts. As in PaddleOCR. */
const LEAST_CONFIDENCE = 0.5;
/** Probability of a space from which on it is written. */
const LIKELY_SPACE = 0.1;

/** The line's text with the box along which it runs, or nothing when it is not readable. */
export async function readLine(
  network: Network,
  letters: readonly string[],
  image: Pixels,
  box: TextBox,
): Promise<Piece | undefined> {
  let along = box;
  let best = await readAlong(network, letters, image, box);
  if (isTurned(box)) {
    const turned = { ...box, angle: box.angle - Math.PI };
    const upwards = await readAlong(network, letters, image, turned);
    if (upwards.confidence > best.confidence) [best, along] = [upwards, turned];
  }
  const text = best.text.trim();
  return best.confidence >= LEAST_CONFIDENCE && text !== "" ? { box: along, text } : undefined;
}

async function readAlong(
  network: Network,
  letters: readonly string[],
  image: Pixels,
  box: TextBox,
): Promise<{ text: string; confidence: number }> {
  const width = Math.max(8, Math.min(LONGEST_LINE, Math.round((box.width / box.height) * LINE_HEIGHT)));
  const pixels = cutOut(image, box, width, LINE_HEIGHT);
  return decode(await network.run(toTensor(pixels, width, LINE_HEIGHT, CENTRED, CENTRED)), letters);
}

/** Letters by class: 0 is the gap between letters, the last a space. @param dictionary a letter a line. */
export function lettersOf(dictionary: string): string[] {
  return ["", ...dictionary.replace(/\r?\n$/, "").split(/\r?\n/), " "];
}

/** The tilted box as an upright picture: each pixel is the mean of the points that it covers. */
function cutOut(image: Pixels, box: TextBox, width: number, height: number): Uint8Array {
  const [cos, sin] = [Math.cos(box.angle), Math.sin(box.angle)];
  const [stepX, stepY] = [box.width / width, box.height / height];
  const samples = Math.max(1, Math.min(8, Math.ceil(Math.max(stepX, stepY))));
  const out = new Uint8Array(width * height * 3);
  const point: [number, number, number] = [0, 0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const sum: [number, number, number] = [0, 0, 0];
      for (let sample = 0; sample < samples * samples; sample++) {
        const along = (column + ((sample % samples) + 0.5) / samples) * stepX - box.width / 2;
        const across = (row + (Math.floor(sample / samples) + 0.5) / samples) * stepY - box.height / 2;
        sampleAt(image, box.centre[0] + along * cos - across * sin, box.centre[1] + along * sin + across * cos, point);
        for (let channel = 0; channel < 3; channel++) sum[channel]! += point[channel]!;
      }
      const at = (row * width + column) * 3;
      for (let channel = 0; channel < 3; channel++) out[at + channel] = Math.round(sum[channel]! / samples ** 2);
    }
  }
  return out;
}

/** Bilinear; beyond the edge lies the edge. Pixel centres are at halves. */
function sampleAt({ width, height, rgb }: Pixels, x: number, y: number, into: [number, number, number]): void {
  const px = Math.max(0, Math.min(width - 1, x - 0.5));
  const py = Math.max(0, Math.min(height - 1, y - 0.5));
  const [left, top] = [Math.floor(px), Math.floor(py)];
  const [right, bottom] = [Math.min(width - 1, left + 1), Math.min(height - 1, top + 1)];
  const [fx, fy] = [px - left, py - top];
  for (let channel = 0; channel < 3; channel++) {
    const upper = rgb[(top * width + left) * 3 + channel]! * (1 - fx) + rgb[(top * width + right) * 3 + channel]! * fx;
    const lower =
      rgb[(bottom * width + left) * 3 + channel]! * (1 - fx) + rgb[(bottom * width + right) * 3 + channel]! * fx;
    into[channel] = upper * (1 - fy) + lower * fy;
  }
}

/**
 * CTC: the likeliest class of each step; the same class twice in a row is one letter, a gap is none.
 * The model was trained mostly on Chinese and underrates spaces, so that between two letters a
 * fairly likely one is taken.
 */
function decode({ data, dims }: Tensor, letters: readonly string[]): { text: string; confidence: number } {
  const [, steps = 0, classes = 0] = dims;
  if (classes !== letters.length) {
    throw new Error(`the network knows ${classes} classes, the dictionary ${letters.length}`);
  }
  const space = classes - 1;
  let text = "";
  let sum = 0;
  let count = 0;
  let before = 0;
  let likeliestSpace = 0;
  for (let step = 0; step < steps; step++) {
    const row = data.subarray(step * classes, (step + 1) * classes);
    const best = likeliest(row);
    const probability = row[best] ?? 0;
    if (best === 0) likeliestSpace = Math.max(likeliestSpace, row[space] ?? 0);
    else if (best !== before) {
      if (best !== space && likeliestSpace >= LIKELY_SPACE && !text.endsWith(" ")) text += " ";
      text += letters[best] ?? "";
      sum += probability;
      count++;
      likeliestSpace = 0;
    }
    before = best;
  }
  return { text, confidence: count === 0 ? 0 : sum / count };
}

function likeliest(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) {
    if ((row[i] ?? 0) > (row[best] ?? 0)) best = i;
  }
  return best;
}
