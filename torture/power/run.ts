/**
 * `npm run torture -- power [--losses N] [--seed N]`: real servers under load lose their power, at moments and in
 * ways that the seed draws, and what comes back must know all that was told. Several lines of lives go on at once,
 * for much of the time is spent waiting. Then some bugs are planted into the servers: a power loss must show each.
 */
import { parseArgs } from "node:util";
import { line, type LossReport } from "./line.ts";
import { withBug } from "./plant.ts";
import { whyNoShim } from "./shim.ts";

const LINES = 3;
/** Lives in a row, until a line begins anew with nothing. */
const LIVES = 4;
const LOSSES_OF_A_LIFE = 8;
const STORIES = 80;

/** Of those of torture/planted that a power loss alone shows. */
const BUGS = [
  "synchronous=OFF",
  "synchronous=NORMAL",
  "no fsync of the blob's directory",
  "no fsync of the directory above a new one",
  "no fsync of an artifact that is moved in",
  "no fsync of bytes that are written",
];

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: { losses: { type: "string", default: "200" }, seed: { type: "string", default: `${Date.now() % 1e6}` } },
  });
  const reason = await whyNoShim();
  if (reason !== undefined) {
    console.log(`Cannot be run here: ${reason}.`);
    return false;
  }
  const seed = Number(values.seed);
  console.log(`seed ${seed}`);
  const isKept = await losePower(Number(values.losses), seed);
  return (await findBugs(seed)) && isKept;
}

/** Every other line has a while in each life in which the disk fails. */
async function losePower(wanted: number, seed: number): Promise<boolean> {
  const reports: LossReport[] = [];
  let lost = 0;
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (lost < wanted) {
      const losses = Math.max(1, Math.min(LOSSES_OF_A_LIFE, Math.ceil((wanted - lost) / LIVES)));
      lost += losses * LIVES;
      const name = seed + begun++;
      const tell = (text: string): void => console.log(`  line ${name}, ${text}`);
      const episodes = begun % 2 === 0;
      const options = { seed: name, lives: LIVES, losses, stories: STORIES, episodes, keepsLeases: !episodes, tell };
      reports.push(...(await line(options)));
    }
  };
  await Promise.all(Array.from({ length: LINES }, worker));
  const broken = reports.filter(({ faults }) => faults.length > 0);
  for (const { life, cut, faults, directory } of broken) {
    console.log(`life ${life}, power lost at ${cut}; what was left is in ${directory}`);
    for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);
  }
  console.log(`${lost} power losses; promises were broken ${broken.length} times`);
  return broken.length === 0;
}

async function findBugs(seed: number): Promise<boolean> {
  let areFound = true;
  for (const bug of BUGS) {
    const reports = await line({ seed, lives: 2, losses: 8, stories: 39, env: withBug(bug), untilBroken: true });
    const found = reports.find(({ faults }) => faults.length > 0);
    if (found === undefined) areFound = false;
    console.log(`  planted: ${bug}: ${found === undefined ? "not found" : `found, for ${found.faults[0]}`}`);
  }
  return areFound;
}
