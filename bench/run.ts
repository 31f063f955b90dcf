/**
 * The bench: `npm run bench -- [--quick] [--only a,b] [--seconds n] [--soak] [--profile] [--json file] [--against dir]`.
 * Starts real servers, the floor and the load generators as processes of their own, measures, and
 * prints a table.
 */
import os from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cancelled } from "./cancel.ts";
import { comparedToAnother } from "./commits.ts";
import { followed } from "./events.ts";
import { type Figure, met, table, writeJson } from "./figures.ts";
import { type Bench, completed, idle, latency, polledAndSubmitted, settled } from "./measure.ts";
import { million } from "./million.ts";
import { Ground, RESULTS } from "./processes.ts";
import { soak } from "./soak.ts";
import { stealMeter } from "./steal.ts";
import { waited } from "./wait.ts";
import { webhooks } from "./webhooks.ts";

const MEASUREMENTS: Readonly<Record<string, (bench: Bench) => Promise<Figure[]>>> = {
  http: polledAndSubmitted,
  completions: completed,
  settled,
  latency,
  cancel: cancelled,
  idle,
  wait: waited,
  events: followed,
  webhooks,
  million,
  soak,
  commits: comparedToAnother,
};
/** What is measured only when it is asked for. */
const ASKED_FOR: readonly string[] = ["soak", "commits"];

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    seconds: { type: "string" },
    soak: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    json: { type: "string" },
    against: { type: "string" },
  },
});

const names =
  flags.only?.split(",") ??
  (flags.against === undefined
    ? Object.keys(MEASUREMENTS).filter((name) => !ASKED_FOR.includes(name) || (name === "soak" && flags.soak))
    : ["commits"]);
const unknown = names.filter((name) => !(name in MEASUREMENTS));
if (unknown.length > 0) {
  throw new Error(
    `--only takes ${Object.keys(MEASUREMENTS).join(", ")}, separated by commas; got ${unknown.join(", ")}.`,
  );
}
const seconds = flags.seconds === undefined ? (flags.quick ? 1 : 4) : Number(flags.seconds);
if (!(seconds > 0)) throw new Error(`--seconds takes a positive number, got ${flags.seconds}.`);

const figures: Figure[] = [];
const loadBefore = os.loadavg()[0]!;
/** Share of the processors' time that the host took while each group was measured. */
const stolen: Record<string, number> = {};
await using ground = new Ground(flags.profile);
for (const name of names) {
  process.stderr.write(`${name} …\n`);
  const steal = stealMeter();
  const bench: Bench = { ground, seconds, rounds: flags.quick ? 1 : 3, quick: flags.quick, against: flags.against };
  for (const figure of await MEASUREMENTS[name]!(bench)) {
    figures.push(figure);
    process.stderr.write(`  ${figure.what}: ${figure.got.toFixed(2)} ${figure.unit} (${figure.detail})\n`);
  }
  stolen[name] = steal();
}
console.log(table(figures));
const file = flags.json ?? join(RESULTS, `${new Date().toISOString().replaceAll(":", "-")}.json`);
writeJson(file, figures, { ...flags, names, seconds, loadBefore, stolen });
console.log(`\nWritten to ${file}`);
if (loadBefore > os.availableParallelism() / 4) {
  console.log(
    `The machine was busy before the bench began (load ${loadBefore.toFixed(1)}): do not quote these figures.`,
  );
}
const shares = Object.entries(stolen).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
console.log(`Processor time that the host gave to other machines meanwhile: ${shares.join(", ")}.`);
if (flags.quick) console.log("A quick run: its windows are too short for figures to quote.");
const missed = figures.filter((figure) => met(figure) === false).length;
console.log(`${figures.filter(met).length} targets met, ${missed} missed`);
