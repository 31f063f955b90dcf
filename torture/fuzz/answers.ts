/**
 * A strict reader of HTTP answers (RFC 9112): whatever a lenient client would let pass is a fault here. Text is
 * Latin-1 throughout, one character a byte.
 */
export interface Answer {
  readonly status: number;
  /** By name in lower case; of those that came several times all values, joined as RFC 9110 §5.3 says. */
  readonly headers: ReadonlyMap<string, string>;
  /** After the chunks were put together. */
  readonly body: string;
  /** Whether the connection ends with it. */
  readonly closes: boolean;
}

/** The bytes are no HTTP answer. */
export class NotHttp extends Error {}

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d) [\t -~\x80-\xff]*$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~\x80-\xff]*)$/;
/** Those that may stand in one answer several times. */
const LISTS: ReadonlySet<string> = new Set(["link", "vary", "warning", "set-cookie", "allow", "cache-control"]);
const MOST_HEAD = 64 * 1024;

/**
 * Reads the first whole answer of `received`; undefined while it is not whole. `ended`: nothing more will come.
 * `method` is that of the request it answers. Throws `NotHttp`.
 */
export function readAnswer(
  received: string,
  method: string,
  ended: boolean,
): { readonly answer: Answer; readonly length: number } | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) {
    if (received.length > MOST_HEAD) throw new NotHttp("an answer's head does not end");
    if (ended && received !== "") throw new NotHttp("an answer breaks off in its head");
    return undefined;
  }
  const lines = received.slice(0, headEnd).split("\r\n");
  const status = Number(STATUS_LINE.exec(lines[0]!)?.[1]);
  if (Number.isNaN(status)) throw new NotHttp(`no status line: ${JSON.stringify(lines[0]!.slice(0, 200))}`);
  const headers = new Map<string, string>();
  for (let index = 1; index < lines.length; index += 1) {
    const found = FIELD.exec(lines[index]!);
    if (found === null) throw new NotHttp(`no header field: ${JSON.stringify(lines[index]!.slice(0, 200))}`);
    const name = found[1]!.toLowerCase();
    const before = headers.get(name);
    if (before !== undefined && !LISTS.has(name)) throw new NotHttp(`two headers ${name}`);
    headers.set(name, before === undefined ? found[2]! : `${before}, ${found[2]!}`);
  }
  const closes = headers.get("connection")?.toLowerCase() === "close";
  const start = headEnd + 4;
  const done = (body: string, length: number) => ({ answer: { status, headers, body, closes }, length });
  const size = headers.get("content-length");
  const coding = headers.get("transfer-encoding");
  if (size !== undefined && coding !== undefined) throw new NotHttp("Content-Length and Transfer-Encoding at once");
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new NotHttp(`Content-Length is ${size}`);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") {
    if ((status < 200 || status === 204) && (coding !== undefined || (size !== undefined && size !== "0")))
      throw new NotHttp(`a body is announced with ${status}`);
    return done("", start);
  }
  if (size !== undefined) {
    const end = start + Number(size);
    if (received.length < end) {
      if (ended) throw new NotHttp(`an answer breaks off ${end - received.length} bytes before its end`);
      return undefined;
    }
    return done(received.slice(start, end), end);
  }
  if (coding !== undefined) {
    if (coding !== "chunked") throw new NotHttp(`Transfer-Encoding is ${coding}`);
    const read = readChunks(received, start);
    if (read === undefined && ended) throw new NotHttp("an answer breaks off in its chunks");
    return read && done(read.body, read.end);
  }
  if (!closes) throw new NotHttp(`an answer ${status} whose end nothing tells`);
  return ended ? done(received.slice(start), received.length) : undefined;
}

function readChunks(received: string, start: number): { readonly body: string; readonly end: number } | undefined {
  let body = "";
  for (let at = start; ;) {
    const lineEnd = received.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const line = received.slice(at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/i.test(line)) throw new NotHttp(`no chunk size: ${JSON.stringify(line.slice(0, 50))}`);
    const size = Number.parseInt(line, 16);
    const end = lineEnd + 2 + size;
    if (received.length < end + 2) return undefined;
    if (received.slice(end, end + 2) !== "\r\n") throw new NotHttp("a chunk is longer than its size");
    if (size === 0) return { body, end: end + 2 };
    body += received.slice(lineEnd + 2, end);
    at = end + 2;
  }
}
