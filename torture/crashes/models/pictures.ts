/** Pictures, one or several, of a picture that was sent or of nothing. */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { defineModel, media, type MediaFile } from "inferq/model";
import { begin, digest, end, pictureOf } from "../work.ts";

interface Input {
  readonly nonce: string;
  readonly count: number;
  readonly size: number;
  readonly ms: number;
  readonly image?: MediaFile;
}

export default defineModel({
  name: "pictures",
  output: "image",
  input: {
    type: "object",
    required: ["nonce"],
    properties: {
      nonce: { type: "string" },
      count: { type: "integer", minimum: 1, default: 1 },
      size: { type: "integer", default: 1_000 },
      ms: { type: "integer", default: 0 },
      image: media("image/*"),
    },
  },
  concurrency: 2,
  timeoutSeconds: 20,
  async run({ nonce, count, size, ms, image }: Input, { signal, file }) {
    const run = begin(nonce, file("0.png").path);
    const material = image === undefined ? "-" : digest(readFileSync(image.path));
    const files = Array.from({ length: count }, (_, index) => {
      const output = file(`${index}.png`);
      writeFileSync(output.path, pictureOf({ nonce, size, material }, index, run));
      return output;
    });
    if (ms > 0) await wait(ms, undefined, { signal });
    end(run);
    return files;
  },
});
