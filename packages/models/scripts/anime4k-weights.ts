/** The weights file of Anime4K's CNN in `@websr/websr`, as its WebGPU layers read it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * One layer with four output channels. `weights` holds 4×4 matrices, column after column: the column
 * is the input channel, the row the output channel. A 3×3 layer has nine matrices for each group of
 * four input channels, one a tap, x before y: (-1,-1), (-1,0), (-1,1), (0,-1), …
 */
export interface Anime4kLayer {
  readonly weights: readonly number[];
  readonly bias: readonly number[];
}

/** Layers by name: `conv2d_tf`, `conv2d_1_tf` … `conv2d_6_tf`, `conv2d_last_tf`, each with siblings `…tf1` (`…tf2`). */
export type Anime4kLayers = (name: string) => Anime4kLayer;

/** Reads the large drawn-content network of an unpacked `@websr/websr`. */
export function readAnime4kLayers(packageDirectory: string): Anime4kLayers {
  const file = join(packageDirectory, "weights/anime4k/cnn-2x-l-an.json");
  const { layers } = JSON.parse(readFileSync(file, "utf8")) as { layers: Record<string, Anime4kLayer> };
  return (name) => {
    const layer = layers[name];
    if (layer === undefined) throw new Error(`${file} has no layer ${name}; expected @websr/websr 0.0.15`);
    return layer;
  };
}
