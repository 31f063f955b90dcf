/** Texts in rows, texts that are files, and files of the model's own. Each run leaves a line in a file on another disk. */
import { appendFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { defineModel } from "inferq/model";
import { outputOf, RUNS } from "./work.ts";

interface Input {
  readonly nonce: string;
  readonly kind: "short" | "long" | "file";
  readonly ms: number;
}

export default defineModel({
  name: "full",
  output: "text",
  outputOf: ({ kind }) => (kind === "file" ? "audio" : "text"),
  input: {
    type: "object",
    required: ["nonce", "kind"],
    properties: {
      nonce: { type: "string" },
      kind: { enum: ["short", "long", "file"] },
      ms: { type: "integer", default: 0 },
      payload: { type: "string" },
    },
  },
  concurrency: 4,
  timeoutSeconds: 60,
  async run({ nonce, kind, ms }: Input, { signal, file }) {
    appendFileSync(process.env[RUNS]!, `${nonce}\n`);
    await wait(ms, undefined, { signal });
    const text = outputOf(nonce, kind);
    if (kind !== "file") return text;
    const output = file("out.wav");
    await writeFile(output.path, text);
    return output;
  },
});
