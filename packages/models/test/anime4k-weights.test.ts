import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { openNetwork } from "../src/lib/onnx.ts";

interface Reference {
  readonly width: number;
  readonly height: number;
  /** RGB, 0 to 1, row by row. */
  readonly input: readonly number[];
  readonly output: readonly number[];
}

test("the converted Anime4K network computes what its original weights compute", async () => {
  const reference = JSON.parse(
    await readFile(new URL("fixtures/anime4k-reference.json", import.meta.url), "utf8"),
  ) as Reference;
  const { width, height } = reference;

  const network = await openNetwork(new URL("../weights/anime4k-x2.onnx", import.meta.url));
  const upscaled = await network.run({ data: planes(reference.input), dims: [1, 3, height, width] });

  expect(upscaled.dims).toEqual([1, 3, 2 * height, 2 * width]);
  const expected = planes(reference.output);
  const differences = upscaled.data.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)));
  expect(Math.max(...differences)).toBeLessThan(1e-5);
});

function planes(interleaved: readonly number[]): Float32Array {
  return Float32Array.from([0, 1, 2].flatMap((colour) => interleaved.filter((_, i) => i % 3 === colour)));
}
