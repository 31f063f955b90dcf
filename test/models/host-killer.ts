/** A model whose inputs say what it does to the machine that runs it; a directory that all lives share tells what happened. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { defineModel } from "inferq/model";

/** Lives of the server in which the poison waits for its neighbours before it kills it. */
const LIVES_WITH_COMPANY = 2;
/** Longer than a neighbour that is leased with the poison needs to begin. */
const LOOKS = 50;
const LOOK_MS = 10;
const WORK_MS = 1_000;

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
}

/** How many work now, in this life of the server. */
function working(tally: string): number {
  return lines(tally).reduce((count, line) => count + (line === "begun" ? 1 : -1), 0);
}

export default defineModel({
  name: "host-killer",
  output: "text",
  concurrency: 1,
  retries: { delaySeconds: 0.02 },
  input: {
    type: "object",
    required: ["do", "directory"],
    properties: { do: { enum: ["kill", "work"] }, directory: { type: "string" }, neighbours: { type: "integer" } },
  },
  async run(input: { do: string; directory: string; neighbours?: number }) {
    const killed = join(input.directory, "killed");
    const tally = join(input.directory, `work-of-${process.ppid}`);
    if (input.do === "work") {
      appendFileSync(tally, "begun\n");
      while (lines(killed).length < LIVES_WITH_COMPANY) await pause(LOOK_MS);
      await pause(WORK_MS);
      appendFileSync(tally, "ended\n");
      return "worked";
    }
    while (!existsSync(join(input.directory, "go"))) await pause(LOOK_MS);
    const hasCompany = lines(killed).length < LIVES_WITH_COMPANY;
    const neighbours = hasCompany ? input.neighbours! : 1;
    for (let looks = hasCompany ? Infinity : LOOKS; looks > 0 && working(tally) < neighbours; looks--)
      await pause(LOOK_MS);
    appendFileSync(killed, `${working(tally)}\n`);
    process.kill(process.ppid, "SIGKILL"); // the server; its guard ends all other processes
    process.kill(process.pid, "SIGKILL");
    return "never";
  },
});
