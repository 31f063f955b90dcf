/** The models that ship and take pictures: what a stranger's file meets in the end is their decoders. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: ["@inferq/models/anime4k-x2", "@inferq/models/person-matte", "@inferq/models/ocr"],
});
