/** What the fuzzed server serves. Lives are short, so that a run sees requests expire and memory come back. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [
    { module: "inferq/mock-inference", concurrency: 64, aliases: ["seedream-4.5"] },
    "./models/rich.ts",
    { module: "./models/gallery.ts", aliases: [{ name: "album", standIn: "A stand-in for an album." }] },
  ],
  resultTtlSeconds: 4,
  resultTtlLimitSeconds: 8,
  waitLimitSeconds: 0.2,
  // So that each call can come from an address of its own: one that guesses keys is soon told no more than that.
  trustedProxies: ["127.0.0.1"],
  corsOrigins: ["https://app.example"],
});
