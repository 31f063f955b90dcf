/**
 * Runs Anime4K's CNN straight from the matrices of `@websr/websr` 0.0.15, pixel by pixel as its WebGPU
 * shaders do, and writes test/fixtures/anime4k-reference.json. It shares no code with the conversion,
 * the reading of the file aside, so that the test that compares the ONNX file with it means something.
 *
 *   node packages/models/scripts/reference-anime4k.ts <unpacked @websr/websr 0.0.15>
 *
 * Outside the picture everything is zero, as in the shader of the first layer. (The later ones index a
 * flat buffer, and so run over into the neighbouring row at the left and right edge; that is not kept.)
 */
import { writeFileSync } from "node:fs";
import { type Anime4kLayer, readAnime4kLayers } from "./anime4k-weights.ts";

type Vec4 = readonly [number, number, number, number];
/** Rows of pixels. */
type Plane = readonly (readonly Vec4[])[];

const WIDTH = 12;
const HEIGHT = 10;
const ZERO: Vec4 = [0, 0, 0, 0];
const TAPS = [-1, 0, 1].flatMap((x) => [-1, 0, 1].map((y) => ({ x, y })));

const [packageDirectory] = process.argv.slice(2);
if (packageDirectory === undefined) throw new Error("usage: reference-anime4k.ts <unpacked @websr/websr 0.0.15>");
const layer = readAnime4kLayers(packageDirectory);

const input = plane((x, y) => testPixel(x, y));
const pairs: [Plane, Plane][] = [[convolve(layer("conv2d_tf"), [input]), convolve(layer("conv2d_tf1"), [input])]];
for (let depth = 1; depth < 7; depth++) {
  const [first, second] = pairs[depth - 1] ?? [];
  if (first === undefined || second === undefined) throw new Error("unreachable");
  const sources = [map(first, relu), map(second, relu), map(first, reluOfNegative), map(second, reluOfNegative)];
  pairs.push([convolve(layer(`conv2d_${depth}_tf`), sources), convolve(layer(`conv2d_${depth}_tf1`), sources)]);
}
const last = ["conv2d_last_tf", "conv2d_last_tf1", "conv2d_last_tf2"].map((name) => lastLayer(layer(name)));

const output = Array.from({ length: 2 * HEIGHT }, (_, y) =>
  Array.from({ length: 2 * WIDTH }, (_, x) =>
    last.map((detail, colour) => {
      const sub = (x % 2) + 2 * (y % 2);
      return bilinear(x, y, colour) + (at(detail, x >> 1, y >> 1)[sub] ?? 0);
    }),
  ),
);
const target = new URL("../test/fixtures/anime4k-reference.json", import.meta.url);
const rounded = (values: readonly number[]): number[] => values.map((value) => Math.round(value * 1e6) / 1e6);
writeFileSync(
  target,
  `${JSON.stringify({ width: WIDTH, height: HEIGHT, input: rounded(input.flat().flatMap((p) => p.slice(0, 3))), output: rounded(output.flat(2)) })}\n`,
);

/** A small drawing: a red disc on a blue slope with a hard white line. All values are multiples of 1/255. */
function testPixel(x: number, y: number): Vec4 {
  const disc = (x - 5) ** 2 + (y - 4) ** 2 < 9;
  const line = x === y + 3;
  const colour: Vec4 = line ? [255, 255, 255, 255] : disc ? [220, 30, 40, 255] : [10, 8 * y, 20 * x, 255];
  return [colour[0] / 255, colour[1] / 255, colour[2] / 255, 0];
}

function lastLayer({ weights, bias }: Anime4kLayer): Plane {
  return plane((x, y) => {
    let sum: Vec4 = [bias[0] ?? 0, bias[1] ?? 0, bias[2] ?? 0, bias[3] ?? 0];
    for (const [depth, [first, second]] of pairs.entries()) {
      const parts = [
        relu(at(first, x, y)),
        relu(at(second, x, y)),
        reluOfNegative(at(first, x, y)),
        reluOfNegative(at(second, x, y)),
      ];
      for (const [part, value] of parts.entries()) sum = add(sum, multiply(weights, 4 * depth + part, value));
    }
    return sum;
  });
}

function convolve({ weights, bias }: Anime4kLayer, sources: readonly Plane[]): Plane {
  return plane((x, y) => {
    let sum: Vec4 = [bias[0] ?? 0, bias[1] ?? 0, bias[2] ?? 0, bias[3] ?? 0];
    for (const [tap, offset] of TAPS.entries()) {
      for (const [group, source] of sources.entries()) {
        sum = add(sum, multiply(weights, group * 9 + tap, at(source, x + offset.x, y + offset.y)));
      }
    }
    return sum;
  });
}

/** Matrix number `matrix`, stored column by column, times a vector. */
function multiply(weights: readonly number[], matrix: number, vector: Vec4): Vec4 {
  const row = (r: number): number =>
    vector.reduce((sum, value, column) => sum + (weights[matrix * 16 + column * 4 + r] ?? Number.NaN) * value, 0);
  return [row(0), row(1), row(2), row(3)];
}

/** The input at the middle of an output pixel, as a linear, edge-clamped texture lookup gives it. */
function bilinear(x: number, y: number, colour: number): number {
  const [sx, sy] = [(x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5];
  const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
  const value = (px: number, py: number): number =>
    at(input, Math.min(Math.max(px, 0), WIDTH - 1), Math.min(Math.max(py, 0), HEIGHT - 1))[colour] ?? 0;
  const [fx, fy] = [sx - x0, sy - y0];
  const top = value(x0, y0) * (1 - fx) + value(x0 + 1, y0) * fx;
  const bottom = value(x0, y0 + 1) * (1 - fx) + value(x0 + 1, y0 + 1) * fx;
  return top * (1 - fy) + bottom * fy;
}

function plane(pixel: (x: number, y: number) => Vec4): Plane {
  return Array.from({ length: HEIGHT }, (_, y) => Array.from({ length: WIDTH }, (_, x) => pixel(x, y)));
}

function map(source: Plane, change: (value: Vec4) => Vec4): Plane {
  return source.map((row) => row.map(change));
}

function at(source: Plane, x: number, y: number): Vec4 {
  return source[y]?.[x] ?? ZERO;
}

function add(a: Vec4, b: Vec4): Vec4 {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]];
}

function relu(v: Vec4): Vec4 {
  return [Math.max(v[0], 0), Math.max(v[1], 0), Math.max(v[2], 0), Math.max(v[3], 0)];
}

function reluOfNegative(v: Vec4): Vec4 {
  return relu([-v[0], -v[1], -v[2], -v[3]]);
}
