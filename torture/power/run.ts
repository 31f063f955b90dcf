/**
 * `npm run torture -- power [--losses N] [--seed N]`: real servers under load lose their power, at moments and in
 * ways that the seed draws, and what comes back must know all that was told. Several lines of lives go on at once,
 * for most of the time is spent waiting.
 */
import { parseArgs } from "node:util";
import { line, type LossReport } from "./line.ts";
import { whyNoShim } from "./shim.ts";

const LINES = 3;
/** Lives in a row, until a line begins anew with nothing. */
const LIVES = 4;
const LOSSES_OF_A_LIFE = 8;
const STORIES = 80;

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: { losses: { type: "string", default: "200" }, seed: { type: "string", default: `${Date.now() % 1e6}` } },
  });
  const wanted = Number(values.losses);
  const seed = Number(values.seed);
  const reason = await whyNoShim();
  if (reason !== undefined) {
    console.log(`Cannot be run here: ${reason}.`);
    return false;
  }
  console.log(`seed ${seed}`);
  const reports: LossReport[] = [];
  let lost = 0;
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (lost < wanted) {
      const losses = Math.max(1, Math.min(LOSSES_OF_A_LIFE, Math.ceil((wanted - lost) / LIVES)));
      lost += losses * LIVES;
      const name = seed + begun++;
      const tell = (text: string): void => console.log(`  line ${name}, ${text}`);
      reports.push(...(await line({ seed: name, lives: LIVES, losses, stories: STORIES, tell })));
    }
  };
  await Promise.all(Array.from({ length: LINES }, worker));
  const broken = reports.filter(({ faults }) => faults.length > 0);
  for (const { life, cut, faults, directory } of broken) {
    console.log(`life ${life}, power lost at ${cut}; what was left is in ${directory}`);
    for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);
  }
  console.log(`${lost} power losses, ${broken.length} of them broke a promise`);
  return broken.length === 0;
}
