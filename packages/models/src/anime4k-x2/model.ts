/**
 * Enlarges a picture to twice or four times its size with Anime4K's network, made for drawings.
 *
 * @module
 */
import { defineModel, InvalidInput, media, type MediaFile } from "inferq/model";
import { openUpscaler, type Upscaler } from "../lib/anime4k.ts";
import { decodeImage, encodeImage, extensionFor, type Pixels, type Sharp } from "../lib/image.ts";
import { fillTransparent } from "./fill-transparent.ts";

interface Input {
  readonly image: MediaFile;
  readonly scale?: 2 | 4;
}

interface Session {
  readonly sharp: Sharp;
  readonly upscaler: Upscaler;
}

/** Largest result, pixels: its bytes and the encoder's copy lie in memory. */
const MAX_RESULT_PIXELS = 64e6;
/** JPEG can hold no longer side. */
const MAX_RESULT_SIDE = 65_500;

export default defineModel<Session>({
  name: "anime4k-x2",
  output: "image",
  description: "Enlarges a picture, best a drawing, to twice or four times its width and height.",
  input: {
    type: "object",
    required: ["image"],
    properties: {
      image: media("image/*", {
        description:
          "The picture: JPEG, PNG, WebP, GIF (its first frame), TIFF or AVIF. At most 16 megapixels, or 4 with scale 4.",
      }),
      scale: {
        type: "integer",
        enum: [2, 4],
        default: 2,
        description: "How many times wider and higher. 4 doubles twice.",
      },
    },
  },
  async setup() {
    const { default: sharp } = await import("sharp");
    return { sharp, upscaler: await openUpscaler() };
  },
  async run({ image, scale = 2 }: Input, context) {
    const { sharp, upscaler } = context.session;
    const decoded = await decodeImage(sharp, image, { field: "image", maxPixels: MAX_RESULT_PIXELS / scale ** 2 });
    const { format, frames, width, height } = decoded;
    if (Math.max(width, height) * scale > MAX_RESULT_SIDE) {
      throw new InvalidInput(
        `image is too long: expected sides of at most ${MAX_RESULT_SIDE / scale} pixels, got ${width} × ${height}`,
      );
    }
    if (frames > 1) context.log(`image has ${frames} frames; the first is enlarged`);

    let pixels: Pixels = await fillTransparent(sharp, decoded);
    // The second doubling has four times the pixels of the first.
    const steps = scale === 4 ? [0, 0.2, 1] : [0, 1];
    for (const [step, from] of steps.slice(0, -1).entries()) {
      const to = steps[step + 1] ?? 1;
      const onProgress = (fraction: number): void => context.progress(from + (to - from) * fraction);
      pixels = await upscaler.double(pixels, { signal: context.signal, onProgress });
    }

    const result = context.file(`upscaled.${extensionFor(format, pixels.alpha === undefined)}`);
    await encodeImage(sharp, pixels, result.path);
    return result;
  },
});
