import type { EventCursor, EventPage, LoggedEvent, RunEvent } from "./events.ts";

/** Lines of one attempt that are kept, and how long they may be together; sizes are in UTF-16 units, as strings have them. */
const LINES = 1_000;
const LINES_UNITS = 256 * 1024;

/** How much of the output is told. The result has all of it. */
const OUTPUT_UNITS = 1024 * 1024;

/** What a line and a log cost beside their text, about. */
const LINE_UNITS = 64;
const LOG_UNITS = 256;

/** So many pieces of output become one: a text that came letter by letter would cost forty times its length. */
const PIECES = 64;

/** What one attempt has told, bounded: the latest lines, the latest progress, the beginning of the output. */
export class AttemptLog {
  readonly #attempt: number;
  /** Lines and progress so far. */
  #seq = 0;
  #lines: LoggedEvent[] = [];
  #linesUnits = 0;
  #progress: LoggedEvent | undefined;
  /** The output in pieces, in their order. Short ones are joined, and none is longer than those of one read need to be. */
  #pieces: string[] = [];
  /** How many of the last pieces are as they came. */
  #loose = 0;
  #outputUnits = 0;
  /** Of the output no more is told, or none: whoever reads it must never miss something in its middle. */
  #output: "told" | "full" | "forgotten" = "told";

  constructor(attempt: number) {
    this.#attempt = attempt;
  }

  /** What it costs to keep. */
  get units(): number {
    return LOG_UNITS + this.#linesUnits + (this.#output === "forgotten" ? 0 : this.#outputUnits);
  }

  /** Answers whether there is more to read than before. */
  add(event: RunEvent, now: number): boolean {
    if (event.type === "output") return this.#addOutput(event.text);
    const logged = { seq: ++this.#seq, at: now, event };
    if (event.type === "progress") this.#progress = logged;
    else this.#addLine(logged, event.message);
    return true;
  }

  /** Drops all text. What follows is counted on, so that a cursor of before stays good. */
  forget(): void {
    this.#lines = [];
    this.#linesUnits = 0;
    this.#progress = undefined;
    this.#pieces = [];
    this.#output = "forgotten";
  }

  /** What is there behind `after`; `log` is the name that cursors of this log carry. */
  read(log: string, after: EventCursor | null): EventPage {
    const { seq, output } = after !== null && after.log === log && this.#fits(after) ? after : { seq: 0, output: 0 };
    const attempt = this.#attempt;
    const more = this.#output !== "forgotten" && output < this.#outputUnits;
    return {
      attempt,
      events: this.#eventsAfter(seq),
      output: more ? { at: output, text: this.#outputFrom(output) } : null,
      next: { log, attempt, seq: this.#seq, output: this.#outputUnits },
    };
  }

  /** The output so far; undefined where none was told, or it is forgotten. */
  output(): string | undefined {
    return this.#outputUnits === 0 || this.#output === "forgotten" ? undefined : this.#outputFrom(0);
  }

  #fits({ attempt, seq, output }: EventCursor): boolean {
    return attempt === this.#attempt && isIndex(seq, this.#seq) && isIndex(output, this.#outputUnits);
  }

  #addLine(line: LoggedEvent, message: string): void {
    this.#lines.push(line);
    this.#linesUnits += LINE_UNITS + message.length;
    while (this.#lines.length > LINES || this.#linesUnits > LINES_UNITS) {
      const { event } = this.#lines.shift()!;
      this.#linesUnits -= LINE_UNITS + (event.type === "log" ? event.message.length : 0);
    }
  }

  #addOutput(text: string): boolean {
    if (this.#output !== "told" || text === "") return false;
    const room = OUTPUT_UNITS - this.#outputUnits;
    const piece = text.length <= room ? text : cut(text, room);
    if (piece.length < text.length) this.#output = "full";
    this.#pieces.push(piece);
    this.#outputUnits += piece.length;
    if (++this.#loose === PIECES) {
      this.#pieces.push(this.#pieces.splice(-PIECES).join(""));
      this.#loose = 0;
    }
    return piece !== "";
  }

  #eventsAfter(seq: number): LoggedEvent[] {
    const events = this.#lines.slice(this.#lines.findLastIndex((line) => line.seq <= seq) + 1);
    const progress = this.#progress;
    if (progress === undefined || progress.seq <= seq) return events;
    const at = events.findLastIndex((line) => line.seq < progress.seq) + 1;
    return events.toSpliced(at, 0, progress);
  }

  /** Looked for from the end: whoever follows a long text asks for its last pieces, thousands of times. */
  #outputFrom(at: number): string {
    let start = this.#outputUnits;
    let first = this.#pieces.length;
    while (start > at) start -= this.#pieces[--first]!.length;
    return this.#pieces
      .slice(first)
      .join("")
      .slice(at - start);
  }
}

function isIndex(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/** The first `most` units of `text`, no character cut in half; a copy, for a slice would keep all of `text` in memory. */
function cut(text: string, most: number): string {
  const last = text.charCodeAt(most - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? most - 1 : most;
  return Buffer.from(text.slice(0, end), "utf16le").toString("utf16le");
}
