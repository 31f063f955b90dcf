/** A model that stops when it is told, or not at all: what `cancel` measures. */
import { appendFileSync, writeFileSync } from "node:fs";
import { defineModel } from "inferq/model";

interface Input {
  /** Whether it minds its signal. Otherwise only SIGKILL ends it. */
  readonly minds: boolean;
  /** File that says which process runs this, and later when it stopped, milliseconds since the epoch. */
  readonly witness: string;
}

export default defineModel({
  name: "stubborn",
  output: "text",
  input: { type: "object", properties: { minds: { type: "boolean" }, witness: { type: "string" } } },
  async run({ minds, witness }: Input, { signal }) {
    if (!minds) process.on("SIGTERM", () => {});
    const stopped = new Promise((resolve) => minds && signal.addEventListener("abort", resolve));
    writeFileSync(witness, `${process.pid}\n`);
    await stopped;
    appendFileSync(witness, `${Date.now()}\n`);
    throw signal.reason;
  },
});
