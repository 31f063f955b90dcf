/**
 * HalfSipHash-2-4 (Aumasson and Bernstein; reference code: github.com/veorq/SipHash): a keyed hash of
 * short texts in 32-bit steps. The one-shot hash of `node:crypto` takes longer than all else that a
 * submit does before the queue.
 */

/** 64 bits, as two words. */
export type HalfSipKey = readonly [number, number];

/** The hash of `text`, whose characters are below 256: 32 bits, unsigned. */
export function halfSipHash(text: string, [k0, k1]: HalfSipKey): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;

  const mix = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) {
      v0 = (v0 + v1) | 0;
      v1 = rotated(v1, 5) ^ v0;
      v0 = rotated(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotated(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotated(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotated(v1, 13) ^ v2;
      v2 = rotated(v2, 16);
    }
  };

  const { length } = text;
  // Whole words, then one of what is left with the length on top.
  for (let at = 0; at <= length; at += 4) {
    let word = at + 4 > length ? length << 24 : 0;
    for (let i = at; i < Math.min(at + 4, length); i++) word |= text.charCodeAt(i) << ((i - at) * 8);
    v3 ^= word;
    mix(2);
    v0 ^= word;
  }
  v2 ^= 0xff;
  mix(4);
  return (v1 ^ v3) >>> 0;
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
