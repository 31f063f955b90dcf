/** What the model makes, so that its clients know it. */

/** Names the environment's variable with the path of the file of runs. */
export const RUNS = "TORTURE_RUNS";

export type Kind = "short" | "long" | "file";

/** Longer than a row takes where it is `long`. */
export function outputOf(nonce: string, kind: Kind): string {
  return `${nonce} `.repeat(kind === "short" ? 1 : Math.ceil(100_000 / (nonce.length + 1)));
}
