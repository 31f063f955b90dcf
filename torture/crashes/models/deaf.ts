/** Texts whose making heeds no signal: it goes on when nobody wants it any more, sometimes without ever letting its process look up. */
import { setTimeout as wait } from "node:timers/promises";
import { defineModel } from "inferq/model";
import { begin, end, textOf } from "../work.ts";

interface Input {
  readonly nonce: string;
  readonly ms: number;
  /** Computes all the while. */
  readonly busy: boolean;
  readonly size: number;
}

export default defineModel({
  name: "deaf",
  output: "text",
  input: {
    type: "object",
    required: ["nonce"],
    properties: {
      nonce: { type: "string" },
      ms: { type: "integer", default: 0 },
      busy: { type: "boolean", default: false },
      size: { type: "integer", default: 100 },
    },
  },
  timeoutSeconds: 20,
  async run({ nonce, ms, busy, size }: Input, { file }) {
    const run = begin(nonce, file("mark").path);
    if (busy) for (const until = performance.now() + ms; performance.now() < until;);
    else await wait(ms);
    const text = textOf({ nonce, size, material: "-" }, run);
    end(run);
    return text;
  },
});
