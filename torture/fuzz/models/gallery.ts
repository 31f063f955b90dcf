/** Media fields of every kind. It reads what it was given, and answers one of the files. */
import { copyFile, readFile } from "node:fs/promises";
import { defineModel, media, type MediaFile } from "inferq/model";

interface Input {
  readonly image?: MediaFile;
  readonly audio?: MediaFile;
  readonly video?: MediaFile;
  readonly any?: MediaFile;
  readonly picture?: MediaFile;
  readonly images?: readonly MediaFile[];
}

export default defineModel({
  name: "gallery",
  output: "image",
  description: "Takes files of every kind, and answers the picture among them.",
  outputOf: (input) => (input["picture"] === undefined ? "text" : "image"),
  input: {
    type: "object",
    properties: {
      image: media("image/*"),
      images: { type: "array", items: media("image/*"), maxItems: 20 },
      audio: media("audio/*"),
      video: media("video/mp4,video/webm"),
      document: media("application/pdf,text/plain"),
      vector: media("image/svg+xml"),
      any: media("*/*"),
      anything: { type: "array", items: media("*/*") },
      picture: media("image/png"),
      prompt: { type: "string" },
    },
  },
  concurrency: 16,
  async run(input: Input, { file }) {
    const { picture } = input;
    if (picture !== undefined) {
      const output = file("copy.png");
      await copyFile(picture.path, output.path);
      return output;
    }
    const files = Object.values(input)
      .flat()
      .filter((value) => typeof value === "object");
    const sizes = await Promise.all(files.map(async ({ path }) => (await readFile(path)).length));
    return `${sizes.length} files of ${sizes.reduce((sum, size) => sum + size, 0)} bytes`;
  },
});
