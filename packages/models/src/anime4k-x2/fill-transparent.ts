import { type Pixels, type Sharp, withAlpha } from "../lib/image.ts";

/** How far colours run into what is transparent, pixels. More than the network sees (7). */
const REACH = 8;

/**
 * Gives fully transparent pixels the colour of what is visible near them. Their own is arbitrary, often
 * black, and the network would mix it into the visible edge as a dark or light fringe.
 */
export async function fillTransparent(sharp: Sharp, image: Pixels): Promise<Pixels> {
  const { width, height, rgb, alpha } = image;
  if (alpha === undefined) return image;
  // sharp weighs colours by alpha when it blurs, so that only visible ones spread.
  const spread = await sharp(withAlpha(rgb, alpha), { limitInputPixels: false, raw: { width, height, channels: 4 } })
    .blur(REACH / 2)
    .raw()
    .toBuffer();
  const filled = Uint8Array.from(rgb);
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] === 0) filled.set(spread.subarray(i * 4, i * 4 + 3), i * 3);
  }
  return { ...image, rgb: filled };
}
