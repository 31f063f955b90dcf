/** Media written as text: data URIs (RFC 2397) and base64 (RFC 4648). */

/** The bytes, "too_large" if there are more than the limit, undefined if the text is not of the form. */
export type Decoded = Uint8Array | "too_large" | undefined;

/** Decodes `data:[type][;parameter]…[;base64],data`. Its type and parameters are not believed: the bytes tell. */
export function decodeDataUri(uri: string, limitBytes: number): Decoded {
  const comma = uri.indexOf(",");
  if (comma === -1) return undefined;
  const data = uri.slice(comma + 1);
  if (!/;\s*base64\s*$/i.test(uri.slice("data:".length, comma))) return decodePercent(data, limitBytes);
  if (!data.includes("%")) return decodeBase64(data, limitBytes);
  const plain = decodePercent(data, data.length * 3);
  return plain instanceof Uint8Array ? decodeBase64(Buffer.from(plain).toString("latin1"), limitBytes) : plain;
}

/**
 * Decodes base64 in its usual and its URL-safe alphabet, padded or not, in one line or many, and
 * nothing else. Spaces are refused: they are what a form makes of a plus sign, or a sentence.
 */
export function decodeBase64(text: string, limitBytes: number): Decoded {
  const bytes = decodeUnspaced(text, limitBytes);
  if (bytes instanceof Uint8Array || !/[\r\n\t]/.test(text)) return bytes;
  return decodeUnspaced(inOneLine(text), limitBytes);
}

/** Over the bytes: where every second character is a line's end, joining what lies between takes seconds. */
function inOneLine(text: string): string {
  const bytes = Buffer.from(text, "utf8"); // what is no ASCII stays so, and is refused
  let to = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    const code = bytes[from]!;
    if (code === 0x0a || code === 0x0d || code === 0x09) continue;
    bytes[to] = code;
    to += 1;
  }
  return bytes.toString("latin1", 0, to);
}

function decodeUnspaced(text: string, limitBytes: number): Decoded {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  if (digits % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) return undefined;
  const size = Math.floor((digits * 3) / 4);
  if (size > limitBytes) return "too_large";
  // Buffer skips what is no digit, and so ends up shorter: one pass over the text, and no second copy.
  const bytes = Buffer.from(text, "base64");
  return bytes.length === size ? bytes : undefined;
}

/** Decodes %XX; a % that begins none stands for itself (WHATWG URL, "percent-decode"). */
function decodePercent(text: string, limitBytes: number): Decoded {
  const bytes = Buffer.from(text, "utf8");
  let to = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    const code = bytes[from] === 0x25 ? hexPair(bytes, from + 1) : -1;
    bytes[to] = code === -1 ? bytes[from]! : code;
    to += 1;
    if (code !== -1) from += 2;
  }
  return to > limitBytes ? "too_large" : bytes.subarray(0, to);
}

function hexPair(bytes: Uint8Array, at: number): number {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
