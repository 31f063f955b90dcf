/** Regions of a text map, and the tilted rectangles around them. */

export type Point = readonly [x: number, y: number];

/** A rectangle that may be tilted. `angle` in radians turns its long axis from the x axis: within ±π/4 for upright text, to 3π/4 for turned text. */
export interface TextBox {
  readonly centre: Point;
  /** Along the line of text, pixels. */
  readonly width: number;
  readonly height: number;
  readonly angle: number;
}

export interface Region {
  /** The outer points of each row: enough for its hull. */
  readonly points: readonly Point[];
  /** Mean value of its pixels. */
  readonly score: number;
}

/** The connected regions of a map where its value is above `threshold`; neighbours touch at sides or corners. */
export function regionsAbove(map: Float32Array, width: number, height: number, threshold: number): Region[] {
  const seen = new Uint8Array(map.length);
  const regions: Region[] = [];
  for (let start = 0; start < map.length; start++) {
    if (seen[start] === 1 || (map[start] ?? 0) <= threshold) continue;
    seen[start] = 1;
    const open = [start];
    const rows = new Map<number, [number, number]>();
    let sum = 0;
    let count = 0;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const x = at % width;
      const y = (at - x) / width;
      sum += map[at] ?? 0;
      count++;
      const row = rows.get(y);
      if (row === undefined) rows.set(y, [x, x]);
      else {
        row[0] = Math.min(row[0], x);
        row[1] = Math.max(row[1], x);
      }
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (seen[next] === 1 || (map[next] ?? 0) <= threshold) continue;
          seen[next] = 1;
          open.push(next);
        }
      }
    }
    // A pixel covers its square: corners, not centres, so that a line one pixel high has a height.
    const points = [...rows].flatMap(([y, [left, right]]): Point[] => [
      [left, y],
      [right + 1, y],
      [left, y + 1],
      [right + 1, y + 1],
    ]);
    regions.push({ points, score: sum / count });
  }
  return regions;
}

/** The smallest rectangle around the points; one of its sides lies on a side of their hull. */
export function smallestBox(points: readonly Point[]): TextBox {
  const hull = convexHull(points);
  let best: TextBox | undefined;
  for (const [i, from] of hull.entries()) {
    const to = hull[(i + 1) % hull.length] ?? from;
    const box = boxAlong(hull, Math.atan2(to[1] - from[1], to[0] - from[0]));
    if (best === undefined || box.width * box.height < best.width * best.height - 1e-6) best = box;
  }
  if (best === undefined) throw new Error("a box needs points");
  return alongText(best);
}

/** Grown by `distance` on every side. */
export function grow(box: TextBox, distance: number): TextBox {
  return { ...box, width: box.width + 2 * distance, height: box.height + 2 * distance };
}

/** Left, top, right, bottom of the upright rectangle around a box. */
export function boundsOf({ centre: [x, y], width, height, angle }: TextBox): readonly [number, number, number, number] {
  const [cos, sin] = [Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle))];
  const [halfWidth, halfHeight] = [(width * cos + height * sin) / 2, (width * sin + height * cos) / 2];
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
}

function boxAlong(points: readonly Point[], angle: number): TextBox {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    const along = x * cos + y * sin;
    const across = y * cos - x * sin;
    left = Math.min(left, along);
    right = Math.max(right, along);
    top = Math.min(top, across);
    bottom = Math.max(bottom, across);
  }
  const [along, across] = [(left + right) / 2, (top + bottom) / 2];
  return {
    centre: [along * cos - across * sin, along * sin + across * cos],
    width: right - left,
    height: bottom - top,
    angle,
  };
}

/**
 * Names the sides so that text runs along the width, upright within 45°; a single letter may be higher
 * than wide. What is clearly a column (1.5 times higher) is text turned by a quarter, taken to run downwards.
 */
function alongText(box: TextBox): TextBox {
  let { width, height, angle } = box;
  while (angle > Math.PI / 4) [width, height, angle] = [height, width, angle - Math.PI / 2];
  while (angle <= -Math.PI / 4) [width, height, angle] = [height, width, angle + Math.PI / 2];
  if (height > width * 1.5) [width, height, angle] = [height, width, angle + Math.PI / 2];
  return { ...box, width, height, angle };
}

/** Whether the text runs downwards, or upwards: its picture cannot tell. */
export function isTurned({ angle }: TextBox): boolean {
  return angle > Math.PI / 4;
}

/** Andrew's monotone chain. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = points.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (ordered: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (chain.length >= 2 && turn(chain.at(-2)!, chain.at(-1)!, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.toReversed())];
}

function turn(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}
