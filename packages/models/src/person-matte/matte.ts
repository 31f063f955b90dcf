import { type Pixels, type Sharp, withAlpha } from "../lib/image.ts";
import type { Network } from "../lib/onnx.ts";
import { type Plane, refineMatte } from "./refine.ts";

/** The network sees every photo as a square of this side, stretched if need be. */
const NETWORK_SIDE = 256;
/** Longest side at which edges are looked for. */
const GUIDE_SIDE = 512;

/** How much each pixel belongs to a person, 0 to 255; what is transparent in the photo stays so. */
export async function matteOf(sharp: Sharp, network: Network, photo: Pixels): Promise<Uint8Array> {
  const { width, height, rgb, alpha } = photo;
  const source = (): ReturnType<Sharp> =>
    sharp(alpha === undefined ? rgb : withAlpha(rgb, alpha), {
      limitInputPixels: false,
      raw: { width, height, channels: alpha === undefined ? 3 : 4 },
    }).flatten({ background: "gray" });

  const square = await source().resize(NETWORK_SIDE, NETWORK_SIDE, { fit: "fill" }).raw().toBuffer();
  const { data: coarse } = await network.run({ data: planes(square), dims: [1, 3, NETWORK_SIDE, NETWORK_SIDE] });

  const guide = await source()
    .resize(GUIDE_SIDE, GUIDE_SIDE, { fit: "inside", withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const matte = refineMatte(
    { width: NETWORK_SIDE, height: NETWORK_SIDE, values: coarse },
    brightnessPlane(guide.data, guide.info.width, guide.info.height),
    { width, height, brightness: (index) => brightness(rgb, index) },
  );
  return alpha === undefined ? matte : matte.map((value, i) => Math.round((value * (alpha[i] ?? 0)) / 255));
}

function planes(rgb: Uint8Array): Float32Array {
  const count = rgb.length / 3;
  return Float32Array.from({ length: rgb.length }, (_, i) => (rgb[(i % count) * 3 + Math.floor(i / count)] ?? 0) / 255);
}

function brightnessPlane(rgb: Uint8Array, width: number, height: number): Plane {
  return { width, height, values: Float32Array.from({ length: width * height }, (_, i) => brightness(rgb, i)) };
}

/** Luma (ITU-R BT.601) of a pixel, 0 to 1. */
function brightness(rgb: Uint8Array, index: number): number {
  return (0.299 * (rgb[index * 3] ?? 0) + 0.587 * (rgb[index * 3 + 1] ?? 0) + 0.114 * (rgb[index * 3 + 2] ?? 0)) / 255;
}
