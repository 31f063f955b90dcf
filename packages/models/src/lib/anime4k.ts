/**
 * Doubles pictures with Anime4K's convolutional network, tile by tile, so that memory does not grow
 * with the picture and the tiles' seams cannot be found.
 *
 * @module
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Pixels } from "./image.ts";
import { type Network, openNetwork } from "./onnx.ts";

/**
 * Longest side of a tile, in input pixels. A run takes about 120 MB at this size; larger ones were no
 * faster (measured: 128, 192, 256, 320, 384, 512), because they fall out of the processor's cache.
 */
const TILE = 192;

/**
 * What a tile sees of its neighbours, in input pixels. Seven 3×3 layers look 7 pixels far: with these
 * the result does not depend on where the tiles lie. At the picture's border its edge is repeated.
 */
const HALO = 8;

interface UpscaleOptions {
  readonly signal: AbortSignal;
  /** Called after each tile with the share that is done, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

export interface Upscaler {
  /**
   * Doubles width and height. Alpha goes through the network too, as a grey picture, so that its edges are as sharp.
   *
   * @throws the signal's reason when it aborts.
   */
  double(image: Pixels, options: UpscaleOptions): Promise<Pixels>;
}

export async function openUpscaler(): Promise<Upscaler> {
  const network = await openNetwork(new URL("../../weights/anime4k-x2.onnx", import.meta.url));
  return {
    async double({ width, height, rgb, alpha }, { signal, onProgress }) {
      const planes = alpha === undefined ? 1 : 2;
      const inPlane = (plane: number): UpscaleOptions => ({
        signal,
        onProgress: (fraction) => onProgress?.((plane + fraction) / planes),
      });
      const colour = await doubleRgb(network, { width, height, rgb }, inPlane(0));
      if (alpha === undefined) return colour;
      const grey = await doubleRgb(network, { width, height, rgb: repeatThrice(alpha) }, inPlane(1));
      return { ...colour, alpha: grey.rgb.filter((_, i) => i % 3 === 1) };
    },
  };
}

async function doubleRgb(network: Network, image: Pixels, { signal, onProgress }: UpscaleOptions): Promise<Pixels> {
  const { width, height } = image;
  const doubled = new Uint8ClampedArray(width * height * 12);
  // Equal parts: a narrow rest would be mostly halo.
  const tileWidth = Math.ceil(width / Math.ceil(width / TILE));
  const tileHeight = Math.ceil(height / Math.ceil(height / TILE));
  for (let y = 0; y < height; y += tileHeight) {
    for (let x = 0; x < width; x += tileWidth) {
      const tile = { x, y, width: Math.min(tileWidth, width - x), height: Math.min(tileHeight, height - y) };
      const dims = [1, 3, tile.height + 2 * HALO, tile.width + 2 * HALO];
      const { data } = await network.run({ data: cut(image, tile), dims });
      paste(data, tile, doubled, width);
      onProgress?.((y * width + (x + tile.width) * tile.height) / (width * height));
      // The network runs on this thread: only here can an abort be heard.
      await nextTurn();
      signal.throwIfAborted();
    }
  }
  return { width: width * 2, height: height * 2, rgb: new Uint8Array(doubled.buffer) };
}

interface Tile {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The tile and its halo as the network takes it: a plane for each colour, 0 to 1. */
function cut(image: Pixels, tile: Tile): Float32Array {
  const width = tile.width + 2 * HALO;
  const height = tile.height + 2 * HALO;
  const plane = width * height;
  const planes = new Float32Array(3 * plane);
  for (let row = 0; row < height; row++) {
    const sourceRow = clamp(tile.y - HALO + row, image.height) * image.width;
    for (let column = 0; column < width; column++) {
      const source = (sourceRow + clamp(tile.x - HALO + column, image.width)) * 3;
      const target = row * width + column;
      planes[target] = (image.rgb[source] ?? 0) / 255;
      planes[target + plane] = (image.rgb[source + 1] ?? 0) / 255;
      planes[target + 2 * plane] = (image.rgb[source + 2] ?? 0) / 255;
    }
  }
  return planes;
}

/** Writes a doubled tile, without its halo, to its place. The clamped array rounds and bounds. */
function paste(planes: Float32Array, tile: Tile, target: Uint8ClampedArray, imageWidth: number): void {
  const stride = 2 * (tile.width + 2 * HALO);
  const plane = stride * 2 * (tile.height + 2 * HALO);
  for (let row = 0; row < 2 * tile.height; row++) {
    let source = (row + 2 * HALO) * stride + 2 * HALO;
    let at = ((2 * tile.y + row) * 2 * imageWidth + 2 * tile.x) * 3;
    for (let column = 0; column < 2 * tile.width; column++) {
      target[at++] = (planes[source] ?? 0) * 255;
      target[at++] = (planes[source + plane] ?? 0) * 255;
      target[at++] = (planes[source + 2 * plane] ?? 0) * 255;
      source++;
    }
  }
}

function clamp(position: number, length: number): number {
  return Math.min(Math.max(position, 0), length - 1);
}

function repeatThrice(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i] ?? 0, i * 3, i * 3 + 3);
  return rgb;
}
