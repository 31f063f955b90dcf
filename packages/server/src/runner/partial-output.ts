import { SILENCE_MS } from "./protocol.ts";
import { MAX_PARTIAL } from "./runner.ts";

/** Pieces this long together are told at once, in UTF-16 units. */
const ENOUGH = 16 * 1024;

/**
 * What a run tells of its output, on its way to who listens: the pieces of one turn of the event loop are one,
 * for a model may tell a text letter by letter, and there is an end to it.
 */
export class PartialOutput {
  readonly #tell: (text: string) => void;
  #pieces = "";
  #room = MAX_PARTIAL;
  #scheduled: NodeJS.Immediate | undefined;
  #toldAt = -Infinity;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  add(text: unknown): void {
    if (this.#room === 0) return;
    const piece = String(text).slice(0, this.#room);
    this.#room -= piece.length;
    this.#pieces += piece;
    if (this.#pieces.length >= ENOUGH || performance.now() - this.#toldAt >= SILENCE_MS) return this.flush();
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#pieces === "") return;
    const text = this.#pieces;
    this.#pieces = "";
    this.#toldAt = performance.now();
    this.#tell(text);
  }
}
