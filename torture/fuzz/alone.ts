/** Cases that have a connection of their own: bytes that are no HTTP, streams, halves of requests. */
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { type Answer, NotHttp, readAnswer } from "./answers.ts";

/** Longest time for a connection to come to its end once this side has, ms: far more than any answer needs. */
export const MOST_MS = 60_000;
/** A stream is read for so long. */
const STREAM_MS = 30;

export interface Exchange {
  readonly answers: readonly Answer[];
  /** What is wrong with the bytes that came, or undefined. */
  readonly fault: string | undefined;
}

export interface ExchangeOptions {
  readonly isStream?: boolean;
  /** Longest time until the connection has ended, ms. */
  readonly mostMs?: number;
  /** Whether this side says that no more will come; else the bytes ask the server to close. */
  readonly isHalfClosed?: boolean;
}

/** Sends `bytes`, says that this was all, and reads to the end. `method` is that of the first request. */
export function exchange(
  port: number,
  bytes: Buffer,
  method: string,
  { isStream = false, mostMs = MOST_MS, isHalfClosed = !isStream }: ExchangeOptions = {},
): Promise<Exchange> {
  const { promise, resolve } = Promise.withResolvers<Exchange>();
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.setEncoding("latin1");
  const pieces: string[] = [];
  const timer = setTimeout(() => {
    socket.destroy();
    resolve({ answers: [], fault: `nothing more came for ${mostMs / 1000} s, and the connection stayed open` });
  }, mostMs);
  socket.on("connect", () => {
    if (isHalfClosed) socket.end(bytes);
    else socket.write(bytes);
  });
  socket.on("data", (text: string) => {
    pieces.push(text);
    if (isStream && pieces.length === 1) void wait(STREAM_MS).then(() => socket.destroy());
  });
  let wasReset = false;
  socket.on("error", () => {
    wasReset = true;
    socket.destroy();
  });
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(isStream ? headOnly(pieces.join("")) : wholeAnswers(pieces.join(""), method, wasReset));
  });
  return promise;
}

function wholeAnswers(text: string, method: string, wasReset: boolean): Exchange {
  const answers: Answer[] = [];
  try {
    for (let rest = text; rest !== "";) {
      const found = readAnswer(rest, method === "HEAD" ? "HEAD" : "GET", !wasReset);
      if (found === undefined) break; // a reset takes away what was not read yet
      rest = rest.slice(found.length);
      if (found.answer.status >= 200) answers.push(found.answer);
    }
    return { answers, fault: undefined };
  } catch (error) {
    if (!(error instanceof NotHttp)) throw error;
    return { answers, fault: error.message };
  }
}

/** The answer's head, its body left out where it goes on. */
function headOnly(text: string): Exchange {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd === -1) return { answers: [], fault: text === "" ? undefined : "an answer's head does not end" };
  const isStream = /^content-type: text\/event-stream/im.test(text.slice(0, headEnd));
  if (!isStream) return wholeAnswers(text, "GET", true);
  const head = text.slice(0, headEnd + 2).replace(/^transfer-encoding:.*\r\n/im, "");
  return wholeAnswers(`${head}Content-Length: 0\r\n\r\n`, "GET", false);
}
