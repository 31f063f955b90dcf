/** One life of a real server on a disk that is watched: from its start on what a power loss has left to the loss of everything. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { commandLine, ROOT, type ServerProcess, startServer } from "../lib/server.ts";
import { Random } from "../simulation/random.ts";
import { Caller } from "./caller.ts";
import { type Known, NEVER } from "./known.ts";
import { load } from "./load.ts";
import type { Receiver } from "./receiver.ts";
import { Replay, type Rest, writeOut } from "./replay.ts";
import { ShimmedDisk, type Trouble } from "./shim.ts";

export const CONFIG: string = join(import.meta.dirname, "server.config.ts");
/** Within what loses its power: its own name may be lost too. */
export const DATA = "data";

export interface LifeOptions {
  /** Of the shim. */
  readonly library: string;
  /** For the disk, the log and what the server prints; this life's own, there already. */
  readonly directory: string;
  readonly start: Rest;
  /** Grows while the life goes on. */
  readonly known: Known;
  readonly receiver: Receiver;
  readonly stories: number;
  /** What the disk suffers from the start on. */
  readonly trouble: Trouble;
  /** What it suffers for a while in the middle, so that it takes nothing. */
  readonly episode?: Trouble;
  readonly seed: number;
  /** More of the server's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Life {
  /** The disk as it was when the life began; the log goes on from there. */
  readonly replay: Replay;
  readonly log: Buffer;
  /** What clients were refused and should not have been, and whatever else should not have been. */
  readonly faults: string[];
  /** How long the submits took, ms, in their order. */
  readonly submitMs: readonly number[];
  /** Runs that were ended because their lease was gone. */
  readonly leasesLost: number;
}

/** How long an episode is, ms: shorter than what runs is tried again. */
const EPISODE_MS = 1_500;
/** How soon after it submits must be taken again, ms. */
const BACK_MS = 5_000;

export async function live(options: LifeOptions): Promise<Life> {
  const { library, directory, start, known, receiver, stories, trouble, seed } = options;
  const root = join(directory, "disk");
  mkdirSync(root);
  writeOut(start, root);
  const replay = new Replay(start, root);
  using disk = new ShimmedDisk(library, root, join(directory, "log"));
  disk.trouble = trouble;
  const env = { ...options.env, ...disk.env };
  const data = join(root, DATA);
  // Before any server made the directory, and beside one that uses it.
  await makeKey("early");
  receiver.listener = (hook) => void known.hooks.push({ ...hook, at: disk.position });
  const server = startServer({ directory: data, config: CONFIG, log: join(directory, "output"), env });
  const base = await addressOf(server, join(directory, "output"));
  const caller = new Caller(base, known, receiver.url, () => disk.position);
  const random = new Random(seed);
  const [faults] = await Promise.all([load(caller, stories, `${seed}`, random), makeKey("late").then(revokeFirst)]);
  if (options.episode !== undefined) faults.push(...(await suffer(options.episode)));
  server.signal("SIGKILL");
  await server.exited;
  receiver.hangUp();
  const log = disk.log();
  rmSync(root, { recursive: true, force: true, maxRetries: 10 });
  const leasesLost = readFileSync(join(directory, "output"), "utf8").split("lease lost; its run is ended").length - 1;
  return { replay, log, faults, submitMs: caller.submitMs, leasesLost };

  /** An episode under load. What is refused meanwhile is refused with 503, and soon after it nothing is any more. */
  async function suffer(episode: Trouble): Promise<string[]> {
    disk.trouble = { ...trouble, ...episode };
    const meanwhile = load(caller, stories, `${seed}-meanwhile`, random);
    await wait(EPISODE_MS);
    disk.trouble = trouble;
    const faults: string[] = [];
    const overAt = performance.now();
    while (!(await caller.isServed(`${seed}-back-${performance.now()}`))) await wait(20);
    const backMs = performance.now() - overAt;
    if (backMs > BACK_MS) faults.push(`submits were taken ${Math.round(backMs)} ms after the disk was well again`);
    faults.push(...(await meanwhile).filter((sentence) => !sentence.includes("was answered 503")));
    faults.push(...(await load(caller, stories, `${seed}-after`, random)));
    return faults;
  }

  async function makeKey(when: string): Promise<void> {
    const name = `${when}-${seed}`;
    const secret = await inferq(["keys", "create", "--name", name], data, env);
    if (secret === "") return; // the disk did not take it
    known.keys.push({ at: disk.position, name, secret, revokeAskedAt: NEVER, revokedAt: NEVER });
  }

  async function revokeFirst(): Promise<void> {
    const key = known.keys.find(({ revokeAskedAt }) => revokeAskedAt === NEVER);
    if (key === undefined) return;
    key.revokeAskedAt = disk.position;
    await inferq(["keys", "revoke", key.name], data, env);
    key.revokedAt = disk.position;
  }
}

/** Its address, when it listens. */
export async function addressOf(server: ServerProcess, output: string): Promise<string> {
  const base = await server.listening;
  if (base === null) throw new Error(`The server ended (${await server.exited}) before it listened: see ${output}`);
  return base;
}

/** What a command of the command line prints on stdout; nothing where it fails. */
async function inferq(args: readonly string[], data: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn(process.execPath, commandLine([...args, "--data-dir", data, "--config", CONFIG]), {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [printed] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return printed.trim();
}
