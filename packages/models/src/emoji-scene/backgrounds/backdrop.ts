import type { Scene } from "../scene.ts";
import type { Canvas } from "../svg.ts";

/** One kind of place: how it is painted, where things stand in it, and what belongs there. */
export interface Backdrop {
  /** Heights, as parts of the picture, at which the furthest and the nearest things stand. */
  readonly stand: readonly [far: number, near: number];
  /** Things hang in space or water instead of standing. */
  readonly isFloating: boolean;
  /** Icons that belong to the place, small, to fill it a little. */
  readonly decor: readonly string[];
  /** @param withoutSun the prompt shows a sun or moon of its own. */
  paint(canvas: Canvas, scene: Scene, withoutSun: boolean): void;
}
