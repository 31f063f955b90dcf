import type { Ground } from "../words.ts";
import type { Backdrop } from "./backdrop.ts";
import { city, studio, table } from "./built.ts";
import { desert, forest, meadow, mountains, snow } from "./land.ts";
import { space } from "./space.ts";
import { beach, sea, underwater } from "./water.ts";

export const BACKDROPS: Readonly<Record<Ground, Backdrop>> = {
  meadow,
  forest,
  mountains,
  snow,
  desert,
  beach,
  sea,
  underwater,
  city,
  table,
  space,
  studio,
};
