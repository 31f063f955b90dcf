/** One thing that is sent, and what is known of it beforehand. */
export interface Case {
  /** What it is an instance of, for the count. */
  readonly kind: string;
  readonly bytes: Buffer;
  /** As it stands in the request line; HEAD has answers without bodies. */
  readonly method: string;
  /** The documented operation that it is for, such as `GET /v2/requests/{id}`; null where the path was spoilt or is none. */
  readonly operation: string | null;
  /** Whether a key that may do it came along: without one, what needs a key is never done. */
  readonly mayPass: boolean;
  /** Names a request of another owner: it must not exist. */
  readonly isForeign: boolean;
  /** What is rightly framed waits among others on one connection; everything else has a connection of its own. */
  readonly isFramed: boolean;
  /** An answer that goes on until the request has finished: it is read for a moment. */
  readonly isStream: boolean;
}

/** The text of a request: bytes are characters of Latin-1. */
export function requestText(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body?: Buffer,
): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = body === undefined ? "" : `Content-Length: ${body.length}\r\n`;
  const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}${length}\r\n`, "latin1");
  return body === undefined ? head : Buffer.concat([head, body]);
}

/** What a request line can hold: one word of ASCII. */
export function oneWord(target: string): string {
  const bytes = Buffer.from(target).toString("latin1");
  return bytes.replace(/[^!-~]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** What a header's line can hold: the rest has connections of its own (corpus/http.ts). */
export function oneLine(text: string): string {
  return Buffer.from(text)
    .toString("latin1")
    .replace(/[^\t -~\x80-\xff]/g, "?")
    .slice(0, 8_000);
}
