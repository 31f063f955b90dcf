/** What loses its power: a server in its usual form, with a short lease, so that what it ran is soon run again. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [{ module: "./copier.ts", concurrency: 4 }],
  leaseSeconds: 2,
  stopGraceSeconds: 1,
  // The same in every life, for each has another port: then what is told of a request never changes.
  publicUrl: "http://torture.invalid",
  allowPrivate: ["webhook"],
});
