/**
 * What server and child process say to each other: one JSON object a line, to the child on file
 * descriptor 3 and from it on 4. Stdout and stderr stay the model's own. The same lines serve a
 * child in any language.
 */
import type { Executed } from "./execute.ts";

export type ToChild =
  /** Comes first, once: import the module, run its `setup`. */
  | { readonly t: "setup"; readonly module: string }
  /** `n` names the run within this process. */
  | {
      readonly t: "run";
      readonly n: number;
      readonly input: Readonly<Record<string, unknown>>;
      readonly directory: string;
      /** For the model to know; the server holds it to it. */
      readonly timeoutMs: number;
    }
  /** Abort the signal of run `n`; the run is over when `ended` comes. */
  | { readonly t: "cancel"; readonly n: number };

export type FromChild =
  | { readonly t: "ready" }
  | { readonly t: "setup_failed"; readonly message: string }
  | { readonly t: "progress"; readonly n: number; readonly fraction: number }
  | { readonly t: "log"; readonly n: number; readonly message: string }
  /** The next piece of the output of run `n`. */
  | { readonly t: "partial"; readonly n: number; readonly text: string }
  | { readonly t: "ended"; readonly n: number; readonly outcome: Executed }
  /** The last words of a process that ends because of an error nobody caught. */
  | { readonly t: "fatal"; readonly message: string };

/** Longest line of the protocol in UTF-16 units; whoever sends a longer one has lost its mind. */
export const MAX_LINE: number = 64 * 1024 * 1024;

/** Longest line of a log; the rest of the line is dropped. */
export const MAX_LOG_LINE: number = 8 * 1024;

/** The message in `line`. Throws on anything that is not one of ours. */
export function parseFromChild(line: string): FromChild {
  const message = JSON.parse(line) as FromChild | null;
  switch (message?.t) {
    case "ready":
      return message;
    case "setup_failed":
    case "fatal":
      if (typeof message.message === "string") return message;
      break;
    case "log":
      if (typeof message.n === "number" && typeof message.message === "string") return message;
      break;
    case "partial":
      if (typeof message.n === "number" && typeof message.text === "string") return message;
      break;
    case "progress":
      if (typeof message.n === "number" && typeof message.fraction === "number") return message;
      break;
    case "ended":
      if (typeof message.n === "number" && isExecuted(message.outcome)) return message;
      break;
    case undefined:
  }
  throw new SyntaxError("not a message of the runner's protocol");
}

/** Whether all is there that ends up in the request's row. The output itself is judged by who stores it. */
function isExecuted(outcome: Partial<Record<string, unknown>> | undefined): boolean {
  if (typeof outcome?.["inferenceMs"] !== "number") return false;
  if (outcome["type"] === "completed") return true;
  const { type, message, retryAfterMs } = outcome;
  return type === "error" && typeof message === "string" && ["undefined", "number"].includes(typeof retryAfterMs);
}

/**
 * Cuts a stream of text into lines. A line longer than `limit` goes to `onTooLong` with its
 * beginning, once, and its rest is dropped. Only new text is searched, so that a long line costs
 * its length and not its square.
 */
export class LineSplitter {
  readonly #limit: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: (start: string) => void;
  #parts: string[] = [];
  #length = 0;
  #dropping = false;

  constructor(limit: number, onLine: (line: string) => void, onTooLong: (start: string) => void) {
    this.#limit = limit;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  push(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      this.#take(text.slice(from, end));
      this.#endLine();
      from = end + 1;
    }
    if (from < text.length) this.#take(from === 0 ? text : text.slice(from));
  }

  /** The stream is over: what came without a line end is a line too. */
  end(): void {
    if (this.#length > 0) this.#endLine();
  }

  #take(piece: string): void {
    if (this.#dropping) return;
    this.#parts.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#limit) return;
    const start = this.#parts.join("").slice(0, this.#limit);
    this.#clear();
    this.#dropping = true;
    this.#onTooLong(start);
  }

  #endLine(): void {
    if (this.#dropping) {
      this.#dropping = false;
      return;
    }
    const line = this.#parts.length === 1 ? this.#parts[0]! : this.#parts.join("");
    this.#clear();
    this.#onLine(line);
  }

  #clear(): void {
    this.#parts = [];
    this.#length = 0;
  }
}

/** After a silence this long, ms, what is said is passed on at once: a model that computes for seconds in one turn of the event loop is heard meanwhile. */
export const SILENCE_MS: number = 50;

/** Collects lines and writes those of one turn of the event loop at once: thousands of small writes a second cost more than the runs. */
export class LineWriter {
  readonly #write: (text: string) => void;
  #pending = "";
  #scheduled = false;
  #writtenAt = -Infinity;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  send(line: string): void {
    this.#pending += line + "\n";
    if (this.#pending.length >= 64 * 1024 || performance.now() - this.#writtenAt >= SILENCE_MS) return this.flush();
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    this.#writtenAt = performance.now();
    this.#write(text);
  }
}
