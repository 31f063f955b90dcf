/**
 * Volume: what was made once is sent several times, each time with some other bytes in its target, a header or its
 * body. Its frame stays as it was, so that thousands can wait on a few connections; and of what the server does with
 * all its care, such as letting a model run, there is less than among new cases.
 */
import type { Case } from "./case.ts";
import { type Context, nextCase } from "./generate.ts";

/** Each is sent so often. */
const TIMES = 8;
/** Those that take turns. */
const KEPT = 64;
/** Larger ones are sent once. */
const MOST_BYTES = 4_000;
/** Of bytes that end something or are something else to many readers. */
const TARGET_BYTES: readonly number[] = [...Buffer.from("!\"#$%&'()*+,-./0aA:;<=>?@[\\]^_`{|}~")];
const VALUE_BYTES: readonly number[] = [...Buffer.from(" !\"#%',-./0aA:;<=>?@[\\]{|}~\xe9\xff", "latin1")];
const BODY_BYTES: readonly number[] = [0, 9, 10, 13, 32, 34, 37, 39, 44, 45, 46, 47, 48, 58, 91, 92, 93, 123, 125, 195, 255]; // prettier-ignore
/** Whose values tell where a request ends, or what its connection is for. */
const FRAME = /^(?:content-length|transfer-encoding|connection|expect|upgrade|host)$/i;

interface Kept {
  readonly one: Case;
  left: number;
}

export class Volume {
  readonly #context: Context;
  readonly #kept: Kept[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  next(): Case {
    const { random } = this.#context;
    if (this.#kept.length === KEPT) {
      const at = random.whole(0, KEPT - 1);
      const kept = this.#kept[at]!;
      kept.left -= 1;
      if (kept.left === 0) {
        this.#kept[at] = this.#kept.at(-1)!;
        this.#kept.pop();
      }
      return this.#changed(kept.one);
    }
    const one = nextCase(this.#context);
    const isCheap = one.isFramed && one.bytes.length <= MOST_BYTES;
    if (isCheap && !/\{model\}, (?:input|form)$/.test(one.kind)) this.#kept.push({ one, left: TIMES });
    return one;
  }

  /** With one to four other bytes in one of its parts. */
  #changed(one: Case): Case {
    const { random } = this.#context;
    const bytes = Buffer.from(one.bytes);
    const headEnd = bytes.indexOf("\r\n\r\n");
    const body = headEnd + 4;
    const change = (from: number, to: number, alphabet: readonly number[]): void => {
      if (from >= to) return;
      for (let left = random.whole(1, 4); left > 0; left -= 1) {
        bytes[random.whole(from, to - 1)] = random.pick(alphabet);
      }
    };
    if (body < bytes.length && random.chance(0.6)) {
      change(body, bytes.length, BODY_BYTES);
      return { ...one, bytes, kind: "changed body" };
    }
    const lines = bytes.toString("latin1", 0, headEnd).split("\r\n");
    const at = random.whole(0, lines.length - 1);
    const before = lines.slice(0, at).reduce((sum, line) => sum + line.length + 2, 0);
    const colon = lines[at]!.indexOf(":");
    // Never the first byte of a value: none may become empty, nor a target no path.
    if (at === 0) change(bytes.indexOf(" /") + 2, bytes.indexOf(" HTTP/1.1"), TARGET_BYTES);
    else if (!FRAME.test(lines[at]!.slice(0, colon)))
      change(before + colon + 3, before + lines[at]!.length, VALUE_BYTES);
    const kind = at === 0 ? "changed target" : "changed header";
    return { ...one, bytes, kind, operation: null, mayPass: true, isForeign: false };
  }
}
