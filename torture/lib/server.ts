/** A server as its users run it: the command line in a process of its own, on a data directory that outlives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
const CLI = fileURLToPath(new URL("../../packages/server/src/cli.ts", import.meta.url));

export const KEY = "sg_0123456789abcdef";
/** The headers of its owner. */
export const AUTH: Readonly<Record<string, string>> = { "x-api-key": KEY };

export interface ServerOptions {
  readonly directory: string;
  /** Config file, absolute. */
  readonly config: string;
  /** File that takes all it prints, behind what is there. */
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ServerProcess {
  readonly pid: number;
  readonly startedAt: number;
  /** Its address, as soon as it listens; null where it ended before. */
  readonly listening: Promise<string | null>;
  /** How it ended: exit code, or the signal's name. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Whether it has not ended. */
  readonly lives: boolean;
  signal(name: NodeJS.Signals): void;
}

/** The environment and the arguments with which the command line runs from its sources. */
export function commandLine(args: readonly string[]): readonly string[] {
  return ["--conditions=@inferq/source", CLI, ...args];
}

/** Starts one; ended or not, nothing of it is waited for here. */
export function startServer({ directory, config, log, env }: ServerOptions): ServerProcess {
  const child = spawn(process.execPath, commandLine(["start", "--config", config]), {
    cwd: ROOT,
    env: { ...process.env, PORT: "0", INFERQ_DATA_DIR: directory, INFERQ_API_KEYS: `torture=${KEY}`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return {
    pid: child.pid!,
    startedAt: Date.now(),
    listening: listens(child, log),
    exited,
    get lives() {
      return child.exitCode === null && child.signalCode === null;
    },
    signal: (name) => void child.kill(name),
  };
}

function listens(child: ChildProcess, log: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    let found = false;
    const read = (chunk: Buffer): void => {
      appendFileSync(log, chunk);
      if (found) return;
      text += chunk.toString();
      const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
      if (address === undefined) return;
      found = true;
      resolve(address);
    };
    child.stdout!.on("data", read);
    child.stderr!.on("data", read);
    child.once("close", () => resolve(null));
  });
}
