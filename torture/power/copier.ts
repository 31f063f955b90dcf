/** The model that is served: its output tells whether every byte of its input and of itself is still the right one. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { defineModel, media, type MediaFile, Retryable } from "inferq/model";
import { outputOf, type Work } from "./work.ts";

export default defineModel({
  name: "copier",
  output: "image",
  outputOf: (input) => (input["kind"] === "text" ? "text" : "image"),
  input: {
    type: "object",
    required: ["nonce", "kind", "size", "ms"],
    properties: {
      nonce: { type: "string" },
      kind: { enum: ["image", "text"] },
      size: { type: "integer" },
      ms: { type: "integer" },
      picture: media("image/*"),
      padding: { type: "string" },
    },
  },
  timeoutSeconds: 20,
  async run({ picture, ...work }: Work & { readonly picture?: MediaFile }, { signal, file }) {
    const output = outputOf(work, picture === undefined ? null : readFileSync(picture.path));
    if (work.ms > 0) await wait(work.ms, undefined, { signal });
    if (work.kind === "text") return output.toString();
    try {
      const made = file("output.png");
      await writeFile(made.path, output);
      return made;
    } catch (error) {
      // Its own writing fails too where the disk does.
      throw new Retryable("The disk takes nothing.", { cause: error });
    }
  },
});
