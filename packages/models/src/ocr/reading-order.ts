/** Puts pieces of text in the order in which a person reads them. */
import { boundsOf, type Point, type TextBox } from "./geometry.ts";

export interface Piece {
  readonly box: TextBox;
  readonly text: string;
}

interface Placed {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Columns are columns of prose: at least so many lines each, and lines so many times wider than high. */
const COLUMN_LINES = 3;
const COLUMN_LINE_WIDTH = 6;

/** The text line by line. Pieces side by side are one line, parted by a space; columns of prose are read one after the other. */
export function inReadingOrder(pieces: readonly Piece[]): string {
  // A page photographed aslant, or turned, is set upright by the angle of its lines.
  const angles = pieces.map(({ box }) => box.angle).sort((a, b) => a - b);
  const angle = angles[Math.floor(angles.length / 2)] ?? 0;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const placed = pieces.map(({ box, text }): Placed => {
    const [x, y] = box.centre;
    const centre: Point = [x * cos + y * sin, y * cos - x * sin];
    const [left, top, right, bottom] = boundsOf({ ...box, centre, angle: box.angle - angle });
    return { text, left, top, right, bottom };
  });
  return read(placed).join("\n");
}

function read(pieces: readonly Placed[]): string[] {
  const columns = splitAtGap(pieces, "left", "right", bothAreColumns);
  if (columns !== undefined) return columns.flatMap(read);
  const blocks = splitAtGap(pieces, "top", "bottom", () => true);
  if (blocks !== undefined) return blocks.flatMap(read);
  return rows(pieces).map((row) => row.map(({ text }) => text).join(" "));
}

/** Cuts at the widest gap that no piece crosses and that `isAllowed`. */
function splitAtGap(
  pieces: readonly Placed[],
  from: "left" | "top",
  to: "right" | "bottom",
  isAllowed: (before: readonly Placed[], after: readonly Placed[]) => boolean,
): [Placed[], Placed[]] | undefined {
  const sorted = pieces.toSorted((a, b) => a[from] - b[from]);
  const gaps: { at: number; width: number }[] = [];
  let reached = -Infinity;
  for (const [i, piece] of sorted.entries()) {
    if (i > 0 && piece[from] > reached) gaps.push({ at: i, width: piece[from] - reached });
    reached = Math.max(reached, piece[to]);
  }
  for (const { at } of gaps.sort((a, b) => b.width - a.width)) {
    const halves: [Placed[], Placed[]] = [sorted.slice(0, at), sorted.slice(at)];
    if (isAllowed(...halves)) return halves;
  }
  return undefined;
}

function bothAreColumns(before: readonly Placed[], after: readonly Placed[]): boolean {
  return [before, after].every((column) => {
    const widths = column.map(({ left, top, right, bottom }) => (right - left) / (bottom - top)).sort((a, b) => a - b);
    return column.length >= COLUMN_LINES && (widths[Math.floor(widths.length / 2)] ?? 0) >= COLUMN_LINE_WIDTH;
  });
}

/** Rows from the top; a piece belongs to a row when its middle lies within the row's first piece. */
function rows(pieces: readonly Placed[]): Placed[][] {
  const found: Placed[][] = [];
  for (const piece of pieces.toSorted((a, b) => a.top + a.bottom - (b.top + b.bottom))) {
    const middle = (piece.top + piece.bottom) / 2;
    const row = found.at(-1);
    const [first] = row ?? [];
    if (row !== undefined && first !== undefined && middle > first.top && middle < first.bottom && isBeside(piece, row))
      row.push(piece);
    else found.push([piece]);
  }
  return found.map((row) => row.sort((a, b) => a.left - b.left));
}

/** Tight lines overlap in height: what lies over or under a piece of the row is another line. */
function isBeside(piece: Placed, row: readonly Placed[]): boolean {
  return row.every((other) => {
    const shared = Math.min(piece.right, other.right) - Math.max(piece.left, other.left);
    return shared < 0.5 * Math.min(piece.right - piece.left, other.right - other.left);
  });
}
