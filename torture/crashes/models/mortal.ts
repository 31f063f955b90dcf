/** Texts whose making may kill the process that makes them, and with it what runs there beside. */
import { setTimeout as wait } from "node:timers/promises";
import { defineModel } from "inferq/model";
import { begin, end, textOf } from "../work.ts";

interface Input {
  readonly nonce: string;
  readonly dies: "exits" | "faults" | "is killed" | "not";
  /** How many attempts die; one that always does is poison. */
  readonly deaths: number;
  readonly size: number;
  readonly ms: number;
}

export default defineModel({
  name: "mortal",
  output: "text",
  input: {
    type: "object",
    required: ["nonce"],
    properties: {
      nonce: { type: "string" },
      dies: { enum: ["exits", "faults", "is killed", "not"], default: "not" },
      deaths: { type: "integer", default: 0 },
      size: { type: "integer", default: 100 },
      ms: { type: "integer", default: 0 },
    },
  },
  concurrency: 2,
  timeoutSeconds: 20,
  async run({ nonce, dies, deaths, size, ms }: Input, { signal, file }) {
    const run = begin(nonce, file("mark").path);
    await wait(ms, undefined, { signal });
    if (run.attempt <= deaths) {
      if (dies === "exits") process.exit(7);
      if (dies === "faults") process.kill(process.pid, "SIGSEGV");
      if (dies === "is killed") process.kill(process.pid, "SIGKILL");
    }
    const text = textOf({ nonce, size, material: "-" }, run);
    end(run);
    return text;
  },
});
