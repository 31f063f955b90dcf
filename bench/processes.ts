/** The processes of a bench: the floor, load generators and servers, each on 127.0.0.1 and bounded in time. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync, closeSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "inferq";
import { type Answer, Connection, httpRequest } from "./connection.ts";
import type { FloorOrder } from "./floor.ts";
import type { Plan, Report } from "./plan.ts";

const HERE = import.meta.dirname;
/** The checkout that this bench is part of. */
const OWN_CHECKOUT = join(HERE, "..");
const CLI = "packages/server/src/cli.ts";
/** Under the repository, so that it is on a real disk where /tmp is memory, and models resolve from it. */
const DIRECTORY = "bench/results";
export const RESULTS: string = join(OWN_CHECKOUT, DIRECTORY);
const ANSWER_MS = 30_000;

/** Owns everything that must not outlive the bench; see reaper.ts. */
export class Ground implements AsyncDisposable {
  /** Node's flags for the servers. */
  readonly serverFlags: readonly string[];
  readonly #reaper = spawn(process.execPath, [join(HERE, "reaper.ts")], {
    stdio: ["pipe", "inherit", "inherit"],
    detached: true,
  });

  /** With `profile` each server writes CPU profiles of its threads when it stops. */
  constructor(profile: boolean) {
    this.serverFlags = profile ? ["--cpu-prof", `--cpu-prof-dir=${join(RESULTS, "profiles")}`] : [];
  }

  watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return; // it did not start; its error event tells
    this.#reaper.stdin.write(`pid ${pid}\n`);
    child.once("exit", () => this.#reaper.stdin.write(`gone ${pid}\n`));
  }

  /** A new directory, in `checkout`, that is deleted at the end. */
  directory(checkout: string = OWN_CHECKOUT): string {
    mkdirSync(join(checkout, DIRECTORY), { recursive: true });
    const path = mkdtempSync(join(checkout, DIRECTORY, "data-"));
    this.#reaper.stdin.write(`dir ${path}\n`);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = new Promise((resolve) => this.#reaper.once("exit", resolve));
    this.#reaper.stdin.end();
    await exit;
  }
}

/** Carries out `plan` in a process of its own. Rejects with the first answer that was not the expected one. */
export async function load(plan: Plan): Promise<Report> {
  const child = fork(join(HERE, "load.ts"));
  child.send(plan);
  const reply = await message<{ report: Report } | { error: string }>(
    child,
    (plan.warmupSeconds + plan.seconds) * 1000 + ANSWER_MS,
  );
  child.kill();
  if ("error" in reply) throw new Error(`The load generator (${plan.kind}) stopped: ${reply.error}`);
  return reply.report;
}

/** A floor that replays canned answers. Ends with this process at the latest: it holds its channel. */
export class Floor implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(order: FloorOrder): Promise<Floor> {
    const child = fork(join(HERE, "floor.ts"));
    child.send(order);
    const { port } = await message<{ port: number }>(child, ANSWER_MS);
    return new Floor(child, port);
  }

  /** How many GETs and POSTs it has answered. */
  served(): Promise<{ get: number; post: number }> {
    this.#child.send("count");
    return message(this.#child, ANSWER_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#child, "SIGTERM");
  }
}

/** A real server, `inferq start` on a config of its own, as a user would run it. */
export class Server implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly port: number;
  readonly metricsPort: number;
  readonly dataDir: string;
  /** Milliseconds from its start to the first answer of `firstPath`. */
  readonly startMs: number;

  private constructor(child: ChildProcess, ports: readonly [number, number], dataDir: string, startMs: number) {
    this.#child = child;
    [this.port, this.metricsPort] = ports;
    this.dataDir = dataDir;
    this.startMs = startMs;
  }

  /** Starts a server of `checkout` on `dataDir`, which lies in it, and waits until `firstPath` is answered with 200. */
  static async start(
    ground: Ground,
    config: Config,
    dataDir: string = ground.directory(),
    firstPath = "/readyz",
    checkout: string = OWN_CHECKOUT,
  ): Promise<Server> {
    const ports = [await freePort(), await freePort()] as const;
    const configPath = join(dataDir, "inferq.config.mjs");
    const settings = { ...config, port: ports[0], metricsPort: ports[1] } satisfies Config;
    writeFileSync(configPath, `export default ${JSON.stringify(settings)};\n`);
    const logPath = join(dataDir, "server.log");
    const log = openSync(logPath, "w");
    const begun = performance.now();
    const flags = [...ground.serverFlags, "--conditions=@inferq/source"];
    const child = spawn(process.execPath, [...flags, join(checkout, CLI), "start", "--config", configPath], {
      env: { PATH: process.env["PATH"], INFERQ_DATA_DIR: dataDir, INFERQ_API_KEYS: `bench=${KEY}` },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    ground.watch(child);
    while ((await tryGet(ports[0], firstPath))?.status !== 200) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() - begun > 60_000) {
        await ended(child, "SIGKILL");
        throw new Error(
          `The server did not answer ${firstPath}. Its log:\n${readFileSync(logPath, "utf8").slice(-4_000)}`,
        );
      }
      await sleep(5);
    }
    return new Server(child, ports, dataDir, performance.now() - begun);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** A graceful stop. */
  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#child, "SIGTERM");
  }
}

/** The key of every bench server; known to nobody but the bench, whose servers listen on 127.0.0.1. */
const KEY = "sg-bench-0123456789abcdef";
export const HEADERS: Readonly<Record<string, string>> = { "x-api-key": KEY };

/** One request on a connection of its own. */
export async function ask(port: number, request: Buffer): Promise<Answer> {
  const connection = await Connection.open(port);
  const late = setTimeout(() => connection.close(), ANSWER_MS);
  try {
    return await connection.ask(request);
  } finally {
    clearTimeout(late);
    connection.close();
  }
}

async function tryGet(port: number, path: string): Promise<Answer | undefined> {
  try {
    return await ask(port, httpRequest(path, HEADERS));
  } catch {
    return undefined; // not listening yet
  }
}

/** Ends `child` with `signal`, and with SIGKILL when it has not ended 20 s later. */
async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await exit;
  clearTimeout(late);
}

/** The next message of `child`. Rejects when it ends instead, or is silent for `timeoutMs`. */
export async function message<T>(child: ChildProcess, timeoutMs: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onMessage = (value: unknown): void => resolve(value as T);
  const onExit = (code: number | null): void => reject(new Error(`A bench process ended with code ${code}.`));
  const late = setTimeout(() => {
    child.kill("SIGKILL");
    reject(new Error(`A bench process was silent for ${timeoutMs} ms.`));
  }, timeoutMs);
  child.once("message", onMessage).once("exit", onExit);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    child.off("message", onMessage).off("exit", onExit);
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as net.AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
