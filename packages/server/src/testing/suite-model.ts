/** The model that `runnerSuite` runs: it does what its input says. */
import { appendFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { defineModel, InvalidInput, Retryable, type ModelDefinition } from "../model/model.ts";

let setups = 0;

const suiteModel: ModelDefinition<{ readonly setups: number }> = defineModel<{ readonly setups: number }>({
  name: "suite",
  output: "text",
  input: { type: "object" },
  setup: () => ({ setups: ++setups }),
  async run(input: Readonly<Record<string, string>>, { session, signal, progress, log, partial, file }) {
    switch (input["do"]) {
      case "answer":
        return { output: input["text"]!, seed: 7, reasoning: `setups: ${session.setups}` };
      case "write": {
        const output = file(input["name"]!);
        await writeFile(output.path, "written");
        return output;
      }
      case "tell":
        log("first");
        progress(0.5);
        progress(7);
        log("second");
        return "told";
      case "tell a text":
        partial("The quick ");
        await new Promise((resolve) => setImmediate(resolve));
        for (const letter of "brown fox") partial(letter);
        partial("");
        return "The quick brown fox";
      case "tell a text and fail":
        partial("half of");
        throw new Error("It failed.");
      case "tell a text without end":
        for (let i = 0; i < 1_000; i++) partial("x".repeat(100_000));
        return "x";
      case "fail":
        throw new Error("It failed.");
      case "throw a string":
        // oxlint-disable-next-line typescript/only-throw-error -- models may be plain JavaScript
        throw "a string";
      case "throw an odd error":
        throw Object.assign(new Error(), { message: {} });
      case "throw a thing without words":
        throw Object.create(null);
      case "refuse":
        throw new InvalidInput("The picture is no picture.");
      case "retry":
        throw new Retryable("Later.", { afterMs: 1_500 });
      case "wait":
        log("waiting");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        appendFileSync(input["witness"]!, "stopped");
        throw signal.reason;
      case "answer late":
        log("waiting");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return "late";
      default:
        throw new TypeError(`The suite asks for nothing like ${input["do"]}.`);
    }
  },
});
export default suiteModel;
