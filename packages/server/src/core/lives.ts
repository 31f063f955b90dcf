/**
 * How long requests live, in the twelve bits that an id has for it. The steps are those people think in:
 * an hour, a day, a week and a year are exact. Any other life is rounded up: to whole seconds below ten
 * minutes, by less than 1.4 % above.
 */

/** Until which life, seconds, which step. Each is a multiple of the next one's step, and 4,038 codes are used. */
const SCALE: readonly (readonly [until: number, step: number])[] = [
  [600, 1],
  [3_600, 5],
  [6 * 3_600, 30],
  [2 * 86_400, 300],
  [14 * 86_400, 1_800],
  [90 * 86_400, 3 * 3_600],
  [365 * 86_400, 12 * 3_600],
];

/** The code of a life that cannot be told. */
export const UNTOLD_LIFE = 0;

/** Code of the shortest life on the scale of at least `seconds`, which are above 0; `UNTOLD_LIFE` beyond a year. */
export function lifeCode(seconds: number): number {
  let code = 0;
  let from = 0;
  for (const [until, step] of SCALE) {
    if (seconds <= until) return code + Math.ceil((seconds - from) / step);
    code += (until - from) / step;
    from = until;
  }
  return UNTOLD_LIFE;
}

/** Seconds that `code` stands for, or null where it stands for none. */
export function lifeSeconds(code: number): number | null {
  let left = code;
  let from = 0;
  if (left === UNTOLD_LIFE) return null;
  for (const [until, step] of SCALE) {
    if (left <= (until - from) / step) return from + left * step;
    left -= (until - from) / step;
    from = until;
  }
  return null;
}
