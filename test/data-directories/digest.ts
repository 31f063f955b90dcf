/** A model whose text proves that its input came whole, file and all; as long as it is told. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { defineModel, media } from "inferq/model";

export default defineModel({
  name: "digest",
  output: "text",
  input: {
    type: "object",
    required: ["image"],
    properties: {
      image: media("image/*"),
      note: { type: "string", default: "" },
      times: { type: "integer", default: 1 },
    },
  },
  async run({ image, note, times }) {
    const hash = createHash("sha256")
      .update(await readFile(image.path))
      .update(note);
    return hash.digest("hex").repeat(times);
  },
});
