import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { expect, test } from "vitest";
import { openNetwork } from "../src/lib/onnx.ts";

const SIDE = 256;
const fixture = (name: string): URL => new URL(`fixtures/${name}`, import.meta.url);

test("the converted selfie network computes what TensorFlow.js computes from the original", async () => {
  const { step, matte } = JSON.parse(await readFile(fixture("selfie-reference.json"), "utf8")) as {
    step: number;
    matte: readonly number[];
  };
  const pixels = await sharp(fixture("selfie-input.png").pathname)
    .resize(SIDE, SIDE, { kernel: "nearest" })
    .raw()
    .toBuffer();
  const planes = Float32Array.from(
    { length: pixels.length },
    (_, i) => (pixels[(i % SIDE ** 2) * 3 + Math.floor(i / SIDE ** 2)] ?? Number.NaN) / 255,
  );

  const network = await openNetwork(new URL("../weights/person-matte.onnx", import.meta.url));
  const { data, dims } = await network.run({ data: planes, dims: [1, 3, SIDE, SIDE] });

  expect(dims).toEqual([1, 1, SIDE, SIDE]);
  const kept = data.filter((_, i) => i % step === 0 && Math.floor(i / SIDE) % step === 0);
  expect(Math.max(...matte)).toBeGreaterThan(0.9);
  expect(Math.max(...kept.map((value, i) => Math.abs(value - (matte[i] ?? Number.NaN))))).toBeLessThan(1e-3);
});
