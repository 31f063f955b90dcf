/** The models that ship and read media. A run is over within seconds, or was led into a trap. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [
    "@inferq/models/anime4k-x2",
    "@inferq/models/person-matte",
    "@inferq/models/ocr",
    "@inferq/models/anime4k-video-x2",
  ],
});
