/** Ids as 16 bytes, the key of the rows. */

const DIGITS = "0123456789abcdef";
const NIBBLES = new Uint8Array(128);
for (let value = 0; value < 16; value++) NIBBLES[DIGITS.charCodeAt(value)] = value;
const PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Where the two digits of each byte stand in the text with dashes. */
const PLACES = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);

/** Writes the bytes of `id`, which has passed `isId`, to `into`, and returns it. */
export function idToBytes(id: string, into: Uint8Array): Uint8Array {
  for (let i = 0; i < 16; i++) {
    const place = PLACES[i]!;
    into[i] = (NIBBLES[id.charCodeAt(place)]! << 4) | NIBBLES[id.charCodeAt(place + 1)]!;
  }
  return into;
}

/** Eight digits of `id` as a word: four from `at` on, and four from `next` on. */
export function idWord(id: string, at: number, next: number): number {
  return ((digits(id, at) << 16) | digits(id, next)) >>> 0;
}

function digits(id: string, at: number): number {
  return (
    (NIBBLES[id.charCodeAt(at)]! << 12) |
    (NIBBLES[id.charCodeAt(at + 1)]! << 8) |
    (NIBBLES[id.charCodeAt(at + 2)]! << 4) |
    NIBBLES[id.charCodeAt(at + 3)]!
  );
}

/** The id whose bytes these are. */
export function idFromBytes(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
    text += PAIRS[bytes[i]!]!;
  }
  return text;
}
