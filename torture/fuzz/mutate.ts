/** Small changes to bytes: what a corpus does not think of. */
import type { Random } from "../simulation/random.ts";

const BYTES = [
  0, 1, 9, 10, 13, 32, 34, 37, 39, 44, 45, 46, 47, 48, 58, 59, 61, 91, 92, 93, 123, 125, 127, 128, 192, 255,
];
const MOST = 256 * 1024;

/** `bytes` with one to eight of them changed, left out, doubled or moved. */
export function mutated(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = random.whole(1, 8); left > 0; left -= 1) changed = step(random, changed);
  return changed.length > MOST ? changed.subarray(0, MOST) : changed;
}

function step(random: Random, bytes: Buffer): Buffer<ArrayBuffer> {
  const at = random.whole(0, Math.max(0, bytes.length - 1));
  const to = Math.min(bytes.length, at + random.whole(1, random.chance(0.1) ? 2_000 : 12));
  switch (random.whole(0, 6)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[at]! ^= 1 << random.whole(0, 7);
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[at] = random.pick(BYTES);
      return copy;
    }
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random.pick(BYTES)]), bytes.subarray(at)]);
    case 5:
      return Buffer.from(bytes.subarray(0, at));
    default: {
      const from = random.whole(0, Math.max(0, bytes.length - 1));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + (to - at)), bytes.subarray(at)]);
    }
  }
}
