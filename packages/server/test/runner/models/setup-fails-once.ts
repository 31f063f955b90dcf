/** Its first `setup` throws, any later one works: the file named in the environment remembers. */
import { existsSync, writeFileSync } from "node:fs";
import { defineModel } from "../../../src/model/model.ts";

const memory = process.env["SETUP_MEMORY"]!;

export default defineModel({
  name: "setup-fails-once",
  output: "text",
  input: { type: "object" },
  setup() {
    if (existsSync(memory)) return;
    writeFileSync(memory, "tried");
    throw new Error("The weights are not there yet.");
  },
  run: () => "fine",
});
