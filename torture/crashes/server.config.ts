/** What is tortured: a server in its usual form, with short times. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [
    { module: "./models/words.ts", processes: 2 },
    // One that many wait for: what a start must read in.
    { module: "./models/words.ts", name: "backlog", concurrency: 1 },
    { module: "./models/pictures.ts", processes: 2 },
    { module: "./models/mortal.ts", processes: 2 },
    { module: "./models/deaf.ts", processes: 2 },
  ],
  leaseSeconds: 2,
  stopGraceSeconds: 1,
  // The same in every life, for each has another port: then what is told of a request never changes.
  publicUrl: "http://torture.invalid",
  allowPrivate: ["webhook"],
});
