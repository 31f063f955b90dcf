/** What `npm start` serves: the models that ship, and the mock for trying clients. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [
    "@inferq/models/anime4k-x2",
    "@inferq/models/anime4k-video-x2",
    "@inferq/models/person-matte",
    {
      module: "@inferq/models/emoji-scene",
      aliases: [
        {
          name: "seedream-4.5",
          standIn:
            "A stand-in, so that the contract's examples run: a collage of emoji, not the diffusion model of this name.",
        },
      ],
    },
    "@inferq/models/text-summary",
    "@inferq/models/ocr",
    { module: "inferq/mock-inference", concurrency: 64 },
  ],
});
