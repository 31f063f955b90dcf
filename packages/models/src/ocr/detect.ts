/** Finds lines of text: PP-OCRv4's detector (DBNet) gives a map of how much each pixel is text. */
import type { Pixels, Sharp } from "../lib/image.ts";
import type { Network, Tensor } from "../lib/onnx.ts";
import { grow, regionsAbove, smallestBox, type TextBox } from "./geometry.ts";

/** The detector sees pictures up to this many pixels a side; larger ones are made smaller for it. */
const LONGEST_SIDE = 1280;
/** Its strides halve the picture five times. */
const MULTIPLE = 32;

/** Letters that touch the edge are missed: the edge is drawn on by this many pixels. */
const MARGIN = 32;

/** As PaddleOCR has them for this model: a pixel is text above the first, a region above the second. */
const PIXEL_IS_TEXT = 0.3;
const REGION_IS_TEXT = 0.6;
/** The map is trained on lines shrunk to their core: boxes are grown again by area × this / perimeter. */
const UNCLIP = 1.6;
/** Pixels of the map; below, it is a speck. */
const SMALLEST_HEIGHT = 3;

/** ImageNet's, as in training, for blue, green, red. */
const MEAN = [0.406, 0.456, 0.485];
const DEVIATION = [0.225, 0.224, 0.229];

/** Boxes around lines of text, in pixels of the picture, in no order. */
export async function detectLines(sharp: Sharp, network: Network, image: Pixels): Promise<TextBox[]> {
  const scale = Math.min(1, LONGEST_SIDE / (Math.max(image.width, image.height) + 2 * MARGIN));
  const inner = {
    width: Math.max(1, Math.round(image.width * scale)),
    height: Math.max(1, Math.round(image.height * scale)),
  };
  const [width, height] = [roundUp(inner.width + 2 * MARGIN), roundUp(inner.height + 2 * MARGIN)];
  const resized = await sharp(image.rgb, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize({ width: inner.width, height: inner.height, fit: "fill" })
    .extend({
      left: MARGIN,
      top: MARGIN,
      right: width - MARGIN - inner.width,
      bottom: height - MARGIN - inner.height,
      extendWith: "copy",
    })
    .raw()
    .toBuffer();
  const map = await network.run(toTensor(resized, width, height, MEAN, DEVIATION));

  return regionsAbove(map.data, width, height, PIXEL_IS_TEXT)
    .filter(({ score }) => score >= REGION_IS_TEXT)
    .map(({ points }) => smallestBox(points))
    .filter((box) => Math.min(box.width, box.height) >= SMALLEST_HEIGHT)
    .map((box) => grow(box, (box.width * box.height * UNCLIP) / (2 * (box.width + box.height))))
    .map((box) => inPicture(box, scale));
}

/** Planes of blue, green and red, each less its mean and over its deviation. */
export function toTensor(
  rgb: Uint8Array,
  width: number,
  height: number,
  mean: readonly number[],
  deviation: readonly number[],
): Tensor {
  const area = width * height;
  const data = new Float32Array(3 * area);
  for (let plane = 0; plane < 3; plane++) {
    const [less, over] = [mean[plane] ?? 0, deviation[plane] ?? 1];
    for (let i = 0; i < area; i++) data[plane * area + i] = ((rgb[i * 3 + 2 - plane] ?? 0) / 255 - less) / over;
  }
  return { data, dims: [1, 3, height, width] };
}

function inPicture({ centre: [x, y], width, height, angle }: TextBox, scale: number): TextBox {
  return { centre: [(x - MARGIN) / scale, (y - MARGIN) / scale], width: width / scale, height: height / scale, angle };
}

function roundUp(side: number): number {
  return Math.max(MULTIPLE, Math.ceil(side / MULTIPLE) * MULTIPLE);
}
