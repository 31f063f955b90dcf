/** What the servers that left these directories served. Of `one-place` only one runs at a time: what comes second waits. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [
    { module: "inferq/mock-inference", concurrency: 64 },
    { module: "inferq/mock-inference", name: "one-place", concurrency: 1 },
    { module: "inferq/mock-inference", name: "crashing", concurrency: 1 },
    "./digest.ts",
  ],
  publicUrl: "http://127.0.0.1:8787",
  stopGraceSeconds: 0,
});
