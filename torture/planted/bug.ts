import type { Edit } from "../simulation/load.ts";

/** A fault that somebody might make in the server's text, and that breaks a promise. */
export interface PlantedBug {
  /** What the change is. */
  readonly name: string;
  /** What it breaks, and when. */
  readonly why: string;
  readonly edits: readonly Edit[];
  /** From which on the tests look: one that finds it soon, until the text of the server or of the simulation changes. */
  readonly firstSeed: number;
}
