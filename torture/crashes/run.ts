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
  /** How long what was begun has to end, ms. */
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

/** Unfinished requests of one model above which clients give it no more: then the slow ones hold up nobody else. */
const UNFINISHED_AT_MOST = 80;

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({ args: [...args], options: { minutes: { type: "string" }, seed: { type: "string" } } });
  const minutes = Number(values.minutes ?? 10);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!(minutes > 0) || !Number.isInteger(seed))
    throw new Error("--minutes must be a number above 0, and --seed a whole number.");
  console.log(`seed ${seed}, ${minutes} minutes`);
  const backlog = Math.min(20_000, minutes * 4_000);
  const tell = (line: string): void => console.log(line);
  const { table, problems } = await torture({
    seed,
    ms: minutes * 60_000,
    peaceMs: 45_000,
    clients: 40,
    backlog,
    tell,
  });
  console.log(table);
  if (problems !== null) console.log(problems);
  return problems === null;
}

/** One run. Where a promise was broken, the data directory is kept. */
export async function torture(wish: Wish): Promise<Outcome> {
  const { seed, ms, peaceMs, tell } = wish;
  const home = mkdtempSync(join(tmpdir(), "inferq-crashes-"));
  const directory = join(home, "data");
  const marks = join(home, "marks");
  mkdirSync(directory);
  appendFileSync(marks, "");
  const random = new Random(seed);
  const ledger = new Ledger<Facts>();
  const receivers = [new Receiver(new Random(random.whole(0, 2 ** 31))), new Receiver(null)] as const;
  for (const receiver of receivers) {
    await receiver.start();
    receiver.onTold = (told, at) => {
      const entry = ledger.get(told.id);
      if (entry !== undefined) ledger.outcome(entry, told.outcome, "webhook", at);
    };
  }
  const env = { [MARKS]: marks, NODE_COMPILE_CACHE: join(home, "compiled") };
  const lives = new Lives({ directory, config: CONFIG, log: join(home, "server.log"), env }, ledger);
  const world: World = {
    seed,
    ledger,
    lives,
    receivers,
    lost: 0,
    answers: 0,
    keys: new Map(),
    crowded: new Set(),
    over: false,
  };
  const blows = new Map<string, number>();
  const startedAt = Date.now();
  const until = startedAt + ms;

  lives.start();
  const watch = setInterval(() => {
    const open = new Map<string, number>();
    for (const { facts } of ledger.open()) open.set(facts.model, (open.get(facts.model) ?? 0) + 1);
    world.crowded.clear();
    for (const [model, count] of open) if (count > UNFINISHED_AT_MOST) world.crowded.add(model);
  }, 100);
  const progress = setInterval(() => tell(report.line(world, startedAt)), 10_000);
  const load = Promise.all([
    ...Array.from({ length: wish.clients }, (_, number) => client(world, number)),
    watcher(world),
    fillBacklog(world, wish.backlog, until + peaceMs / 4),
    keyKeeper(world, directory, CONFIG),
  ]);
  load.catch(() => {}); // whoever waits for it below hears of it
  try {
    const target = { lives, directory, leaseMs: LEASE_MS, answered: () => ledger.size, receiver: receivers[0] };
    await nemesis(target, wish.blows ?? blowsByChance(random), random, until, blows);
    world.over = true;
    receivers[0].trouble = null;
    await load;
    clearInterval(watch);
    await untilFinished(world, Date.now() + peaceMs);
    await readAgain(world, random);
    await lives.stop();
    await sweepLater(directory);
    checkWebhooks(world);
    checkAtRest(world, directory, marks);
    checkMemory(world);
  } finally {
    clearInterval(watch);
    clearInterval(progress);
    await lives.end();
    for (const receiver of receivers) await receiver.stop();
  }
  const table = report.table(world, blows, startedAt);
  const problems = ledger.problems.length === 0 ? null : report.problems(world, home, marks);
  if (problems === null) rmSync(home, { recursive: true });
  return { submits: ledger.size, blows, table, problems };
}
