/** Whoever wants the server dead: one blow after the other, drawn by chance, and a new life after each. */
import { setTimeout as wait } from "node:timers/promises";
import { childrenOf, runnersOf, signal } from "../lib/processes.ts";
import type { Random } from "../simulation/random.ts";
import type { Lives } from "./lives.ts";
import type { Receiver } from "./receiver.ts";

export interface Target {
  readonly lives: Lives;
  readonly directory: string;
  /** How long a lease holds, ms. */
  readonly leaseMs: number;
  /** How many submits were answered so far. */
  answered(): number;
  /** The receiver that may be away. */
  readonly receiver: Receiver;
}

/** Between a server that listens and the next blow; by chance far less or more. */
const MEAN_PAUSE_MS = 1_500;

/** As many submits at least are answered between two blows, so that each strikes a server at work. */
export const BETWEEN_BLOWS = 20;

type Blow = (target: Target, random: Random) => Promise<void>;

/** How often each comes, relative to the others. After a blow that ends the server, a new one is there. */
const BLOWS: Readonly<Record<string, readonly [weight: number, blow: Blow]>> = {
  "kill -9 of the server": [6, async ({ lives }) => again(lives, () => lives.kill())],
  "kill -9 while it starts": [
    3,
    async ({ lives }, random) => {
      await lives.kill();
      lives.start();
      await wait(random.whole(0, 1_500));
      await again(lives, () => lives.kill());
    },
  ],
  "kill -9 twice in a row": [
    2,
    async ({ lives }, random) => {
      await lives.kill();
      for (let times = 0; times < 2; times++) {
        lives.start();
        await wait(random.whole(0, 20));
        await lives.kill();
      }
      lives.start();
    },
  ],
  "kill -9 as soon as it listens": [
    2,
    async ({ lives }, random) => {
      await lives.kill();
      await lives.start().server.listening;
      await wait(random.whole(0, 100)); // it reads in what waits, and takes up what ran
      await again(lives, () => lives.kill());
    },
  ],
  "kill -9 while it stops": [
    2,
    async ({ lives }, random) => {
      lives.askToStop();
      await wait(random.whole(0, 1_500));
      await again(lives, () => lives.kill());
    },
  ],
  "kill -9 of everything at once": [
    2,
    async ({ lives, directory }) => {
      const { pid } = lives.now.server;
      const all = [...childrenOf(pid), ...(await runnersOf(directory))];
      lives.now.ending = "kill";
      for (const each of [...all, pid]) signal(each, "SIGKILL");
      await again(lives, () => lives.kill());
    },
  ],
  SIGTERM: [3, async ({ lives }) => again(lives, () => lives.stop())],
  "SIGTERM and a second signal": [
    1,
    async ({ lives }) => {
      lives.askToStop();
      await wait(550); // sooner they would count as one
      await again(lives, () => lives.stop());
    },
  ],
  "kill -9 of a runner": [
    8,
    async ({ directory }, random) => void signalOne(await runnersOf(directory), random, "SIGKILL"),
  ],
  "kill -9 of a runner's group": [
    4,
    async ({ directory }, random) => {
      const runner = random.pick(await runnersOf(directory));
      if (runner !== undefined) signal(-runner, "SIGKILL");
    },
  ],
  "a runner stands still": [
    4,
    async ({ directory }, random) => {
      const runner = signalOne(await runnersOf(directory), random, "SIGSTOP");
      await wait(random.whole(100, 4_000));
      if (runner !== undefined) signal(runner, "SIGCONT");
    },
  ],
  "the server stands still": [
    2,
    async ({ lives, leaseMs }, random) => {
      const { now } = lives;
      now.pausedAt = Date.now() + 60_000; // nothing is said of how soon it answers until it has gone on for a while
      now.server.signal("SIGSTOP");
      await wait(leaseMs + random.whole(500, 1_500));
      now.server.signal("SIGCONT");
      now.pausedAt = Date.now();
    },
  ],
  "the receiver is away": [
    2,
    async ({ receiver }, random) => {
      await receiver.stop();
      await wait(random.whole(100, 1_500));
      await receiver.start();
    },
  ],
};

/** Blows without end, each as often as its weight says. */
export function* blowsByChance(random: Random): Generator<string> {
  const names = Object.entries(BLOWS).flatMap(([name, [weight]]) => Array.from({ length: weight }, () => name));
  for (;;) yield random.pick(names);
}

/** Strikes with one blow after the other, at most until `until` (ms since the epoch), counting each by its name. A server runs when it is done. */
export async function nemesis(
  target: Target,
  blows: Iterable<string>,
  random: Random,
  until: number,
  counts: Map<string, number>,
): Promise<void> {
  for (const name of blows) {
    const enough = target.answered() + BETWEEN_BLOWS;
    await target.lives.up();
    while (target.answered() < enough && Date.now() < until) await wait(10);
    await wait(Math.min(-Math.log(1 - random.next()) * MEAN_PAUSE_MS, Math.max(0, until - Date.now())));
    if (Date.now() >= until) return;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await BLOWS[name]![1](target, random);
  }
}

/** Ends this life and begins the next. */
async function again(lives: Lives, end: () => Promise<void>): Promise<void> {
  await end();
  lives.start();
}

function signalOne(pids: readonly number[], random: Random, name: NodeJS.Signals): number | undefined {
  const pid = random.pick(pids);
  if (pid !== undefined) signal(pid, name);
  return pid;
}
