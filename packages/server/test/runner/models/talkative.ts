/** A model that tells too much. */
import { defineModel } from "../../../src/model/model.ts";

const MB = 1024 * 1024;

export default defineModel({
  name: "talkative",
  output: "text",
  input: { type: "object" },
  async run(input: Readonly<Record<string, string>>, { log, partial, progress, signal }) {
    if (input["do"] === "tell 100 MB") {
      for (let i = 0; i < 50; i++) {
        partial("x".repeat(MB));
        for (let line = 0; line < 128; line++) log("x".repeat(MB / 128));
        for (let step = 0; step < 1_000; step++) progress(step / 1_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      log(`last ${"x".repeat(100)}`);
      return "told";
    }
    partial(`${process.pid} `);
    while (!signal.aborted) {
      partial("on and ");
      await new Promise((resolve) => setImmediate(resolve));
    }
    return "stopped";
  },
});
