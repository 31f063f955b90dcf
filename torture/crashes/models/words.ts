/** Texts: made at once, or slowly and told while they are made; short ones, and some larger than a row takes. */
import { setTimeout as wait } from "node:timers/promises";
import { defineModel, Retryable } from "inferq/model";
import { begin, digest, end, textOf } from "../work.ts";

interface Input {
  readonly nonce: string;
  readonly how: "quick" | "slow" | "fails" | "again";
  readonly size: number;
  /** How long a slow one takes. */
  readonly ms: number;
  /** How many attempts ask to be tried again. */
  readonly tries: number;
  /** Something to read, perhaps large. */
  readonly payload?: string;
}

export default defineModel({
  name: "words",
  output: "text",
  input: {
    type: "object",
    required: ["nonce", "how"],
    properties: {
      nonce: { type: "string" },
      how: { enum: ["quick", "slow", "fails", "again"] },
      size: { type: "integer", default: 100 },
      ms: { type: "integer", default: 0 },
      tries: { type: "integer", default: 0 },
      payload: { type: "string" },
    },
  },
  concurrency: 4,
  timeoutSeconds: 20,
  async run({ nonce, how, size, ms, tries, payload }: Input, { signal, partial, progress, log, file }) {
    // A quick one asks for no file, as most models of texts: then its attempt has no directory.
    const run = begin(nonce, how === "quick" ? undefined : file("mark").path);
    if (how === "fails") throw new Error(`${nonce} fails, as it was asked to.`);
    if (how === "again" && run.attempt <= tries) throw new Retryable("Not yet.", { afterMs: 50 });
    const text = textOf({ nonce, size, material: payload === undefined ? "-" : digest(payload) }, run);
    if (how === "slow") {
      const step = Math.ceil(text.length / 8);
      for (let at = 0; at < text.length; at += step) {
        await wait(ms / 8, undefined, { signal });
        partial(text.slice(at, at + step));
        progress((at + 1) / text.length);
        log(`${nonce} is at ${at}.`);
      }
    }
    end(run);
    return text;
  },
});
