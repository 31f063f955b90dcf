/**
 * `npm run torture -- crashes [--minutes 10] [--seed N]`: a real server under load, killed again and again, and a
 * checker that knows every answered submit and all that was ever told. The seed gives the load and the blows; when
 * they meet is the machine's doing, so a run is not repeated to the letter.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Ledger } from "../lib/ledger.ts";
import { Random } from "../simulation/random.ts";
import { sweepLater } from "./at-rest.ts";
import { fillBacklog } from "./backlog.ts";
import { checkAtRest, checkMemory, checkWebhooks } from "./checker.ts";
import { client, watcher } from "./clients.ts";
import { keyKeeper } from "./keys.ts";
import { Lives } from "./lives.ts";
import { blowsByChance, nemesis } from "./nemesis.ts";
import { readAgain, untilFinished } from "./peace.ts";
import { Receiver } from "./receiver.ts";
import * as report from "./report.ts";
import { MARKS } from "./work.ts";
import type { Facts, World } from "./world.ts";

const CONFIG = fileURLToPath(new URL("./server.config.ts", import.meta.url));
/** As it says there. */
const LEASE_MS = 2_000;

export interface Wish {
  readonly seed: number;
  /** How long the server is struck, at most, ms. */
  readonly ms: number;
  /** The blows, one after the other; if not given they come by chance, until the time is over. */
  readonly blows?: readonly string[];
  /** How long what was begun has to end, at most, ms. */
  readonly peaceMs: number;
  readonly clients: number;
  /** Requests in the long queue. */
  readonly backlog: number;
  /** Is told how it goes. */
  readonly tell: (line: string) => void;
}

export interface Outcome {
  /** How many submits were answered. */
  readonly submits: number;
  /** Blow → how often it was struck. */
  readonly blows: ReadonlyMap<string, number>;
  readonly table: string;
  /** What broke, with all that is known of it; null where nothing did. */
  readonly problems: string | null;
}

/** The long queue expires so long after the last blow, ms. */
const BACKLOG_OUTLIVES_MS = 10_000;
/** Between two lines that tell how it goes, ms. */
const PROGRESS_MS = 5_000;
/** Between two looks at how many are unfinished, ms. */
const CROWDED_MS = 100;
/** Unfinished requests of one model above which clients give it no more: then the slow ones hold up nobody else. */
const UNFINISHED_AT_MOST = 80;

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({ args: [...args], options: { minutes: { type: "string" }, seed: { type: "string" } } });
  const minutes = Number(values.minutes ?? 10);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!(minutes > 0) || !Number.isInteger(seed))
    throw new Error("--minutes must be a number above 0, and --seed a whole number.");
  console.log(`seed ${seed}, ${minutes} minutes`);
  const size = { peaceMs: 120_000, clients: 40, backlog: Math.min(20_000, Math.ceil(minutes * 4_000)) };
  const { table, problems } = await torture({ seed, ms: minutes * 60_000, ...size, tell: (line) => console.log(line) });
  console.log(table);
  if (problems !== null) console.log(problems);
  return problems === null;
}

/** One run. Where a promise was broken, the data directory is kept. */
export async function torture(wish: Wish): Promise<Outcome> {
  const home = mkdtempSync(join(tmpdir(), "inferq-crashes-"));
  const place = { directory: join(home, "data"), marks: join(home, "marks"), log: join(home, "server.log") };
  mkdirSync(place.directory);
  appendFileSync(place.marks, "");
  const random = new Random(wish.seed);
  const world = await open(wish, place, { NODE_COMPILE_CACHE: join(home, "compiled") }, random);
  const { ledger } = world;
  const startedAt = Date.now();
  const blows = new Map<string, number>();
  const progress = setInterval(() => wish.tell(report.line(world, startedAt)), PROGRESS_MS);
  try {
    await strike(world, wish, place.directory, random, blows);
    await untilFinished(world, Date.now() + wish.peaceMs);
    await readAgain(world, random);
    await world.lives.stop();
    await sweepLater(place.directory);
    checkWebhooks(world);
    checkAtRest(world, place.directory, place.marks);
    checkMemory(world);
  } catch (error) {
    ledger.problem(`the run broke off: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    clearInterval(progress);
    await world.lives.end();
    for (const receiver of world.receivers) await receiver.stop();
  }
  const table = report.table(world, blows, startedAt);
  const problems = ledger.problems.length === 0 ? null : report.problems(world, home, place.marks);
  if (problems === null) rmSync(home, { recursive: true });
  return { submits: ledger.size, blows, table, problems };
}

interface Place {
  readonly directory: string;
  readonly marks: string;
  readonly log: string;
}

/** The first life, and whoever is told. */
async function open(wish: Wish, place: Place, env: Readonly<Record<string, string>>, random: Random): Promise<World> {
  const ledger = new Ledger<Facts>();
  const receivers = [new Receiver(new Random(random.whole(0, 2 ** 31))), new Receiver(null)] as const;
  for (const receiver of receivers) {
    await receiver.start();
    receiver.onTold = (told, at) => {
      const entry = ledger.get(told.id);
      if (entry !== undefined) ledger.outcome(entry, told.outcome, "webhook", at);
    };
  }
  const { directory, marks, log } = place;
  const lives = new Lives({ directory, config: CONFIG, log, env: { ...env, [MARKS]: marks } }, ledger);
  lives.start();
  const counts = { lost: 0, answers: 0 };
  return { seed: wish.seed, ledger, lives, receivers, keys: new Map(), crowded: new Set(), over: false, ...counts };
}

/** Load and blows, until the time or the blows are over and no client asks for anything more. */
async function strike(
  world: World,
  wish: Wish,
  directory: string,
  random: Random,
  blows: Map<string, number>,
): Promise<void> {
  const { lives, ledger, receivers } = world;
  const until = Date.now() + wish.ms;
  const watch = setInterval(() => findCrowded(world), CROWDED_MS).unref();
  const load = Promise.all([
    ...Array.from({ length: wish.clients }, (_, number) => client(world, number)),
    watcher(world),
    fillBacklog(world, wish.backlog, until + BACKLOG_OUTLIVES_MS),
    keyKeeper(world, directory, CONFIG),
  ]);
  load.catch(() => {}); // whoever waits for it below hears of it
  const target = { lives, directory, leaseMs: LEASE_MS, answered: () => ledger.size, receiver: receivers[0] };
  await nemesis(target, wish.blows ?? blowsByChance(random), random, until, blows);
  world.over = true;
  receivers[0].trouble = null;
  await load;
  clearInterval(watch);
}

function findCrowded({ ledger, crowded }: World): void {
  const open = new Map<string, number>();
  for (const { facts } of ledger.open()) open.set(facts.model, (open.get(facts.model) ?? 0) + 1);
  crowded.clear();
  for (const [model, count] of open) if (count > UNFINISHED_AT_MOST) crowded.add(model);
}
