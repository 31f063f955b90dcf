/**
 * Fits a coarse matte to the edges of the picture: a fast guided filter (He and Sun, "Fast Guided
 * Filter", 2015). In each small window the matte is explained as a linear function of brightness; the
 * functions are found at low resolution and applied at full.
 *
 * @module
 */

/** One value a pixel, row by row. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/** Half of the window's side, pixels of the guide. About the width of the coarse matte's blurred edge. */
const RADIUS = 6;
/** Variance of brightness below which a window counts as even and the matte is only smoothed. */
const EVEN = 4e-4;
/** The filter leaves a faint veil; what lies below the first is cleared, above the second filled. */
const CLEAR = 0.15;
const FULL = 0.85;

/**
 * The matte of the full picture, 0 to 255.
 *
 * @param matte of any size, 0 to 1.
 * @param guide the picture's brightness, 0 to 1, at the resolution to work at.
 * @param brightness of the full picture's pixel at an index, 0 to 1.
 */
export function refineMatte(
  matte: Plane,
  guide: Plane,
  full: { readonly width: number; readonly height: number; brightness(index: number): number },
): Uint8Array {
  const coarse = resample(matte, guide.width, guide.height);
  const { slope, offset } = linearModels(guide, coarse);

  const alpha = new Uint8Array(full.width * full.height);
  const columns = positions(full.width, guide.width);
  const rows = positions(full.height, guide.height);
  for (let y = 0; y < full.height; y++) {
    const row = rows[y] ?? ORIGIN;
    for (let x = 0; x < full.width; x++) {
      const column = columns[x] ?? ORIGIN;
      const index = y * full.width + x;
      const value = between(slope, row, column) * full.brightness(index) + between(offset, row, column);
      alpha[index] = Math.round(255 * smoothStep((value - CLEAR) / (FULL - CLEAR)));
    }
  }
  return alpha;
}

function linearModels(guide: Plane, matte: Plane): { slope: Plane; offset: Plane } {
  const product = (a: Plane, b: Plane): Plane => ({ ...a, values: a.values.map((v, i) => v * (b.values[i] ?? 0)) });
  const meanGuide = boxMean(guide).values;
  const meanMatte = boxMean(matte).values;
  const meanSquare = boxMean(product(guide, guide)).values;
  const meanProduct = boxMean(product(guide, matte)).values;
  const slope = meanGuide.map((mean, i) => {
    const variance = (meanSquare[i] ?? 0) - mean * mean;
    const covariance = (meanProduct[i] ?? 0) - mean * (meanMatte[i] ?? 0);
    return covariance / (variance + EVEN);
  });
  const offset = meanMatte.map((mean, i) => mean - (slope[i] ?? 0) * (meanGuide[i] ?? 0));
  return { slope: boxMean({ ...guide, values: slope }), offset: boxMean({ ...guide, values: offset }) };
}

/** Mean over a square window, cut off at the border. */
function boxMean({ width, height, values }: Plane): Plane {
  const alongRows = new Float32Array(values.length);
  for (let y = 0; y < height; y++) slideMean(values, alongRows, y * width, 1, width);
  const mean = new Float32Array(values.length);
  for (let x = 0; x < width; x++) slideMean(alongRows, mean, x, width, height);
  return { width, height, values: mean };
}

function slideMean(source: Float32Array, target: Float32Array, start: number, step: number, length: number): void {
  let sum = 0;
  let count = 0;
  for (let i = -RADIUS; i < length; i++) {
    if (i + RADIUS < length) {
      sum += source[start + (i + RADIUS) * step] ?? 0;
      count++;
    }
    if (i - RADIUS > 0) {
      sum -= source[start + (i - RADIUS - 1) * step] ?? 0;
      count--;
    }
    if (i >= 0) target[start + i * step] = sum / count;
  }
}

function resample(plane: Plane, width: number, height: number): Plane {
  const columns = positions(width, plane.width);
  const rows = positions(height, plane.height);
  const values = new Float32Array(width * height);
  for (const [y, row] of rows.entries()) {
    for (const [x, column] of columns.entries()) values[y * width + x] = between(plane, row, column);
  }
  return { width, height, values };
}

/** Between which two samples a pixel's middle falls, and how near the second. */
interface Position {
  readonly low: number;
  readonly high: number;
  readonly share: number;
}

const ORIGIN: Position = { low: 0, high: 0, share: 0 };

function positions(targetLength: number, sourceLength: number): Position[] {
  return Array.from({ length: targetLength }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * sourceLength) / targetLength - 0.5, 0), sourceLength - 1);
    const low = Math.floor(at);
    return { low, high: Math.min(low + 1, sourceLength - 1), share: at - low };
  });
}

function between({ width, values }: Plane, row: Position, column: Position): number {
  const line = (y: number): number => {
    const low = values[y * width + column.low] ?? 0;
    return low + ((values[y * width + column.high] ?? 0) - low) * column.share;
  };
  const low = line(row.low);
  return low + (line(row.high) - low) * row.share;
}

function smoothStep(value: number): number {
  const t = Math.min(Math.max(value, 0), 1);
  return t * t * (3 - 2 * t);
}
