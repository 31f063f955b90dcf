import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import model from "../src/person-matte/model.ts";
import { mediaFile, runModel, temporaryDirectory } from "./run-model.ts";

/** 320 × 320: the face is around (138, 80), hair to the left and right of it, background in the top right corner. */
const photo = new URL("fixtures/astronaut.jpg", import.meta.url).pathname;
const FACE = { x: 138, y: 80 };
const CORNER = { x: 300, y: 20 };
let session: Awaited<ReturnType<NonNullable<typeof model.setup>>>;

beforeAll(async () => {
  session = (await model.setup?.()) as typeof session;
});

test("a transparent background keeps the face and clears the corner", async () => {
  const { path, pixel } = await matte(photo);

  expect((await sharp(path).metadata()).format).toBe("png");
  expect(pixel(FACE)[3]).toBe(255);
  expect(pixel(CORNER)[3]).toBe(0);
});

test.each([
  ["white", [255, 255, 255]],
  ["#0f0", [0, 255, 0]],
  ["#2B7DE9", [43, 125, 233]],
])("%s is put behind the person, who stays as they were", async (background, rgb) => {
  const { path, pixel } = await matte(photo, background);

  expect((await sharp(path).metadata()).format).toBe("jpeg");
  expect(distance(pixel(CORNER), rgb)).toBeLessThan(4);
  expect(distance(pixel(FACE), (await pixelsOf(photo))(FACE))).toBeLessThan(8);
});

test("blur takes the detail out of the background alone", async () => {
  const { path } = await matte(photo, "blur");

  const background = { left: 240, top: 10, width: 60, height: 120 };
  const face = { left: 115, top: 60, width: 45, height: 50 };
  expect(await detail(path, background)).toBeLessThan(0.5 * (await detail(photo, background)));
  expect(await detail(path, face)).toBeGreaterThan(0.9 * (await detail(photo, face)));
});

test("a very long photo is blurred too, in seconds", { timeout: 60_000 }, async () => {
  const path = join(await temporaryDirectory(), "long.jpg");
  await sharp(photo).resize(60_000, 32, { fit: "fill" }).jpeg().toFile(path);

  const blurred = await matte(path, "blur");

  expect(await sharp(blurred.path).metadata()).toMatchObject({ width: 60_000, height: 32 });
});

test("what was transparent in the photo stays so", async () => {
  const path = join(await temporaryDirectory(), "half.png");
  const bottomHalf = Buffer.from('<svg width="320" height="320"><rect y="160" width="320" height="160"/></svg>');
  await writeFile(
    path,
    await sharp(photo)
      .ensureAlpha()
      .composite([{ input: bottomHalf, blend: "dest-in" }])
      .png()
      .toBuffer(),
  );

  const { pixel } = await matte(path);

  expect(pixel(FACE)[3]).toBe(0);
});

test("the schema takes the backgrounds that are documented and no others", () => {
  const { background } = model.input["properties"] as { background: { pattern: string } };
  const takes = (value: string): boolean => new RegExp(background.pattern, "u").test(value);

  expect(["transparent", "blur", "white", "#abc", "#A0B1C2"].map(takes)).not.toContain(false);
  expect(["", "whitex", "beige", "#ab", "#12345", "url(x)"].map(takes)).not.toContain(true);
});

test("bytes that are no picture are refused", async () => {
  const path = join(await temporaryDirectory(), "text");
  await writeFile(path, "hello");
  await expect(matte(path)).rejects.toThrow(/image cannot be read as a picture/);
});

type PixelAt = (at: { x: number; y: number }) => number[];

async function matte(path: string, background?: string): Promise<{ path: string; pixel: PixelAt }> {
  const image = await mediaFile(path, "image/*");
  const { output } = await runModel(model, session, background === undefined ? { image } : { image, background });
  const result = (output as { path: string }).path;
  return { path: result, pixel: await pixelsOf(result) };
}

async function pixelsOf(path: string): Promise<PixelAt> {
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
  return ({ x, y }) => {
    const start = (y * info.width + x) * info.channels;
    return [...data.subarray(start, start + info.channels)];
  };
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.max(...b.map((value, i) => Math.abs(value - (a[i] ?? Number.NaN))));
}

/** Mean difference between neighbouring pixels. */
async function detail(
  path: string,
  region: { left: number; top: number; width: number; height: number },
): Promise<number> {
  const grey = await sharp(path).extract(region).greyscale().raw().toBuffer();
  return grey.reduce((sum, value, i) => sum + Math.abs(value - (grey[i + 1] ?? value)), 0) / grey.length;
}
