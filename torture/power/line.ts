/** A line of lives, each on what a power loss left of the one before; and of each, many losses. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../simulation/random.ts";
import { aftermath } from "./aftermath.ts";
import { Known } from "./known.ts";
import { live } from "./life.ts";
import { entries } from "./log.ts";
import { receiver } from "./receiver.ts";
import { emptyRest, type Rest } from "./replay.ts";
import { shim, type Trouble } from "./shim.ts";

export interface LineOptions {
  readonly seed: number;
  readonly lives: number;
  /** Losses that are looked at, of each life. */
  readonly losses: number;
  readonly stories: number;
  /** What the disks suffer; else chance says how long fsyncs take. */
  readonly trouble?: Trouble;
  /** Whether each life has a while in which the disk fails. */
  readonly episodes?: boolean;
  /** Whether a lease that is lost is a fault: on a machine that has time for the server it is. */
  readonly keepsLeases?: boolean;
  /** More of the environment of the servers that lose their power. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it ends with the first loss that broke a promise. */
  readonly untilBroken?: boolean;
  readonly tell?: (line: string) => void;
}

/** How a disk fails. */
const EPISODES: readonly Trouble[] = [
  { room: 0 },
  { room: 500_000 },
  { write: "EIO" },
  { sync: "EIO" },
  { write: "EROFS", name: "EROFS" },
  { syncMs: [300, 900] },
];

export interface LossReport {
  /** Draws the same loss of the same log again. */
  readonly seed: number;
  readonly life: number;
  readonly cut: number;
  readonly faults: readonly string[];
  /** What is left of it, where a promise was broken. */
  readonly directory: string;
}

export async function line(options: LineOptions): Promise<LossReport[]> {
  const { seed, lives, losses, stories, untilBroken = false, tell = () => {} } = options;
  const library = await shim();
  const random = new Random(seed);
  await using there = await receiver();
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "inferq-power-")));
  const reports: LossReport[] = [];
  let start: Rest = emptyRest();
  let known = new Known();
  for (let life = 1; life <= lives; life++) {
    const trouble = options.trouble ?? {
      syncMs: random.pick([
        [0, 0],
        [0, 3],
        [5, 20],
        [20, 200],
      ] as const),
    };
    const home = join(directory, `life-${life}`);
    mkdirSync(home);
    const lifeSeed = seed * 1_000 + life;
    const episode = options.episodes === true ? random.pick(EPISODES) : undefined;
    const {
      replay,
      log,
      faults: troubles,
      submitMs,
      leasesLost,
    } = await live({
      library,
      directory: home,
      start,
      known,
      receiver: there,
      stories,
      trouble,
      seed: lifeSeed,
      ...(options.env !== undefined && { env: options.env }),
      ...(episode !== undefined && { episode }),
    });
    tell(
      `life ${life} ${JSON.stringify({ ...trouble, episode })}: ${known.requests.size} requests known; half of the submits took ${middle(submitMs)} ms, none more than ${Math.max(...submitMs)}; leases lost: ${leasesLost}`,
    );
    if (options.keepsLeases === true && leasesLost > 0) troubles.push(`${leasesLost} leases were lost`);
    for (const sentence of troubles) tell(`life ${life}: ${sentence}`);
    if (troubles.length > 0) reports.push({ seed: lifeSeed, life, cut: log.length, faults: troubles, directory: home });
    const cuts = drawCuts(log, known, losses, random);
    for (const [index, cut] of cuts.entries()) {
      replay.goTo(log, cut);
      const lossSeed = lifeSeed * 1_000 + index;
      const rest = replay.afterPowerLoss(lossSeed);
      const then = known.before(cut);
      const place = join(directory, `loss-${life}-${index}`);
      const faults = await aftermath({ rest, known: then, receiver: there, directory: place });
      reports.push({ seed: lossSeed, life, cut, faults, directory: place });
      tell(
        `life ${life}, loss ${index + 1} at ${cut} of ${log.length}: ${faults.length === 0 ? "all is there" : faults.join("\n  ")}`,
      );
      if (untilBroken && faults.length > 0) return end();
      if (index === cuts.length - 1) [start, known] = [rest, then];
    }
    rmSync(home, { recursive: true, force: true });
  }
  return end();

  function end(): LossReport[] {
    if (untilBroken || reports.every(({ faults }) => faults.length === 0))
      rmSync(directory, { recursive: true, force: true });
    return reports;
  }
}

/** Half of them right after somebody was told something, the others anywhere; the earliest first. */
function drawCuts(log: Buffer, known: Known, count: number, random: Random): number[] {
  const anywhere = [...entries(log)].map(({ end }) => end);
  const told = known.places();
  const cuts = Array.from({ length: count }, (_, index) => random.pick(index % 2 === 0 ? told : anywhere));
  return cuts.sort((a, b) => a - b);
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
