import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInput, type MediaFile } from "inferq/model";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import model from "../src/anime4k-x2/model.ts";
import { mediaFile, runModel, temporaryDirectory } from "./run-model.ts";

const cat = new URL("fixtures/cat.png", import.meta.url).pathname;
let session: Awaited<ReturnType<NonNullable<typeof model.setup>>>;
let directory: string;

beforeAll(async () => {
  session = (await model.setup?.()) as typeof session;
  directory = await temporaryDirectory();
});

test("a reduced picture comes back at least 1 dB nearer to the original than by bicubic resampling", async () => {
  const { width, height } = await sharp(cat).metadata();
  const small = await sharp(cat)
    .resize(width / 2, height / 2, { kernel: "cubic" })
    .png()
    .toBuffer();

  const upscaled = await upscale(await save("small.png", small));

  const original = await rgb(cat);
  const bicubic = await rgb(await sharp(small).resize(width, height, { kernel: "cubic" }).png().toBuffer());
  expect(psnr(await rgb(upscaled), original)).toBeGreaterThan(psnr(bicubic, original) + 1);
});

test("scale 4 gives four times the width and height, and progress goes up to 1", async () => {
  const small = await save("tiny.png", await sharp(cat).resize(40, 30).png().toBuffer());

  const run = await runModel(model, session, { image: small, scale: 4 });

  expect(await size(pathOf(run.output))).toEqual([160, 120]);
  expect(run.progress).toEqual([...run.progress].sort((a, b) => a - b));
  expect(run.progress.at(-1)).toBe(1);
});

test("transparency is kept, and no dark fringe grows from the colour hidden in it", async () => {
  // A white square in the middle of transparent black.
  const pixels = Buffer.alloc(32 * 32 * 4);
  for (let y = 8; y < 24; y++) pixels.fill(255, (y * 32 + 8) * 4, (y * 32 + 24) * 4);
  const square = await sharp(pixels, { raw: { width: 32, height: 32, channels: 4 } })
    .png()
    .toBuffer();

  const upscaled = await upscale(await save("square.png", square));

  const { data, info } = await sharp(upscaled).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([64, 64, 4]);
  expect(data[3]).toBe(0);
  expect(data[(32 * 64 + 32) * 4 + 3]).toBeGreaterThan(250);
  const visible = Array.from({ length: 64 * 64 }, (_, i) => i).filter((i) => (data[i * 4 + 3] ?? 0) > 16);
  expect(Math.min(...visible.map((i) => data[i * 4] ?? 0))).toBeGreaterThan(240);
});

test("a picture of many tiles has no seams: each part is as if it had been enlarged alone", async () => {
  const bytes = noise(600 * 300 * 3);
  const wide = await save(
    "wide.png",
    await sharp(bytes, { raw: { width: 600, height: 300, channels: 3 } })
      .png()
      .toBuffer(),
  );
  // Tiles meet at x = 300 and y = 150; this part spans both, and 10 pixels from its own edge all must agree.
  const part = { left: 240, top: 100, width: 120, height: 100 };

  const whole = await sharp(await upscale(wide))
    .extract(twice(part))
    .raw()
    .toBuffer();
  const alone = await rgb(await upscale(await save("part.png", await sharp(wide.path).extract(part).png().toBuffer())));

  let different = 0;
  let largest = 0;
  for (let y = 20; y < 180; y++) {
    for (let i = (y * 240 + 20) * 3; i < (y * 240 + 220) * 3; i++) {
      const difference = Math.abs((whole[i] ?? 0) - (alone[i] ?? 0));
      largest = Math.max(largest, difference);
      if (difference > 0) different++;
    }
  }
  // Sums of floats in another order may round to the other side, here and there.
  expect(largest).toBeLessThanOrEqual(1);
  expect(different).toBeLessThan(20);
});

test("a JPEG stays a JPEG, turned upright as its EXIF data say", async () => {
  const sideways = await sharp(cat).resize(60, 40).jpeg().withMetadata({ orientation: 6 }).toBuffer();

  const upscaled = await upscale(await save("sideways.jpg", sideways));

  const { format, width, height, orientation } = await sharp(upscaled).metadata();
  expect({ format, width, height, orientation }).toEqual({
    format: "jpeg",
    width: 80,
    height: 120,
    orientation: undefined,
  });
});

test.each([
  ["16 bits a channel", async () => sharp(cat).resize(20, 20).toColourspace("rgb16").png().toBuffer()],
  ["grey", async () => sharp(cat).resize(20, 20).greyscale().toColourspace("b-w").png().toBuffer()],
  ["CMYK", async () => sharp(cat).resize(20, 20).toColourspace("cmyk").jpeg().toBuffer()],
  ["an animation, of which the first frame is taken", async () => animation()],
])("%s is understood", async (_kind, make) => {
  const upscaled = await upscale(await save("kind", await make()));

  const { width, height, channels, depth } = await sharp(upscaled).metadata();
  expect({ width, height, channels, depth }).toEqual({ width: 40, height: 40, channels: 3, depth: "uchar" });
});

test.each([
  ["bytes that are no picture", Buffer.from("not a picture"), /image cannot be read as a picture: expected a JPEG/],
  ["an SVG", Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"), /got svg/],
])("%s are refused with a sentence that says what to send", async (_kind, bytes, sentence) => {
  await expect(upscale(await save("garbage", bytes))).rejects.toThrow(sentence);
});

test("a picture that breaks off is refused", async () => {
  const png = await sharp(cat).png().toBuffer();
  await expect(upscale(await save("half.png", png.subarray(0, png.length / 2)))).rejects.toThrow(
    /image is a damaged png file/,
  );
});

test.each([
  ["png", "cut.png", 33],
  ["avif", "cut.avif", 300],
] as const)(
  "a %s with nothing but its head is called damaged, without the server's path",
  async (format, name, length) => {
    const bytes = await sharp(cat)[format]().toBuffer();
    const image = { ...(await save(name, bytes.subarray(0, length))), contentType: `image/${format}` };

    const run = runModel(model, session, { image });
    await expect(run).rejects.toThrow(/^image is a damaged (png|avif|heif) file: [^/]+$/);
  },
);

test("a picture with more pixels than the limit is refused before it is decoded, and the sentence names both", async () => {
  const huge = await sharp({ create: { width: 3000, height: 2000, channels: 3, background: "white" } })
    .png()
    .toBuffer();
  const run = runModel(model, session, { image: await save("huge.png", huge), scale: 4 });

  await expect(run).rejects.toThrow(InvalidInput);
  await expect(run).rejects.toThrow(/expected at most 4.0 megapixels, got 3000 × 2000 \(6.0 megapixels\)/);
});

test("an abort stops the run between two tiles", async () => {
  const wide = await save("wide.png", await sharp(cat).resize(600, 300, { fit: "fill" }).png().toBuffer());
  const abort = new AbortController();
  const stopped = new Error("stopped");
  const run = runModel(model, session, { image: wide }, { signal: abort.signal });
  abort.abort(stopped);

  await expect(run).rejects.toBe(stopped);
});

async function upscale(image: MediaFile): Promise<string> {
  return pathOf((await runModel(model, session, { image })).output);
}

async function save(name: string, bytes: Uint8Array): Promise<MediaFile> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return mediaFile(path, "application/octet-stream");
}

function pathOf(output: unknown): string {
  return (output as { path: string }).path;
}

async function size(path: string): Promise<[number, number]> {
  const { width, height } = await sharp(path).metadata();
  return [width, height];
}

async function rgb(image: string | Buffer): Promise<Buffer> {
  return sharp(image).removeAlpha().raw().toBuffer();
}

/** The same every time: a linear congruential generator, its upper bits. */
function noise(length: number): Uint8Array {
  let state = 1;
  return new Uint8Array(length).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state >>> 24;
  });
}

/** Peak signal-to-noise ratio, dB. */
function psnr(a: Uint8Array, b: Uint8Array): number {
  const squares = a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0);
  return 10 * Math.log10(255 ** 2 / (squares / a.length));
}

function twice(part: { left: number; top: number; width: number; height: number }): typeof part {
  return { left: part.left * 2, top: part.top * 2, width: part.width * 2, height: part.height * 2 };
}

async function animation(): Promise<Buffer> {
  const frames = ["red", "lime"].map((background) =>
    sharp({ create: { width: 20, height: 20, channels: 3, background } })
      .png()
      .toBuffer(),
  );
  return sharp(await Promise.all(frames), { join: { animated: true } })
    .gif()
    .toBuffer();
}
