/** The server under fuzz: the command line in a process of its own, with nothing of this user's around it. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  type Dirent,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hashKey } from "../../packages/server/src/config/load.ts";
import { systemClock } from "../../packages/server/src/core/clock.ts";
import { openKeys } from "../../packages/server/src/server/open-keys.ts";
import { type ApiKey, PLAIN_KEY } from "../../packages/server/src/store/keys.ts";
import { LogWatch } from "./log-watch.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = resolve(HERE, "../..");
const CLI = join(ROOT, "packages/server/src/cli.ts");
const TICKS_PER_SECOND = 100; // of /proc: USER_HZ, the same on every Linux
/** Traversals in the corpus name it: nothing of this name may ever be found. */
export const ESCAPED = "escaped-by-fuzz";

/** Keys by what they may do. */
export interface Keys {
  readonly good: string;
  /** Another owner's. */
  readonly other: string;
  readonly readOnly: string;
  readonly admin: string;
  /** May use the model `rich` alone. */
  readonly bound: string;
  /** Was revoked. */
  readonly revoked: string;
  /** May have few requests unfinished. */
  readonly limited: string;
}

export class FuzzedServer implements AsyncDisposable {
  readonly port: number;
  readonly keys: Keys;
  readonly log: LogWatch;
  readonly #child: ChildProcess;
  readonly #box: string;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess, box: string, log: LogWatch, port: number, keys: Keys) {
    this.#child = child;
    this.#ended = once(child, "exit");
    this.#box = box;
    this.log = log;
    this.port = port;
    this.keys = keys;
  }

  /** `preload`: a module that the server's process imports first. */
  static async start(
    config: string,
    { preload, env = {} }: { readonly preload?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<FuzzedServer> {
    const box = mkdtempSync(join(tmpdir(), "inferq-fuzz-"));
    for (const name of ["home", "tmp", "cwd"]) mkdirSync(join(box, name));
    const keys = makeKeys(join(box, "data"));
    const surroundings = {
      PATH: process.env["PATH"],
      HOME: join(box, "home"),
      TMPDIR: join(box, "tmp"),
      INFERQ_DATA_DIR: join(box, "data"),
      INFERQ_API_KEYS: "",
      PORT: "0",
      ...env,
    };
    const log = new LogWatch();
    const imports = preload === undefined ? [] : ["--import", join(HERE, preload)];
    const args = ["--conditions=@inferq/source", ...imports, CLI, "start", "--config", join(HERE, config)];
    const child = spawn(process.execPath, args, {
      cwd: join(box, "cwd"),
      env: surroundings,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.on("data", (chunk: Buffer) => log.take(chunk));
    child.stderr.on("data", (chunk: Buffer) => log.take(chunk));
    const port = await Promise.race([
      log.port,
      once(child, "exit").then(() => {
        throw new Error(`The server ended before it listened:\n${log.tail()}`);
      }),
    ]);
    const server = new FuzzedServer(child, box, log, port, keys);
    await server.#ready();
    return server;
  }

  async #ready(): Promise<void> {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.port}/readyz`);
      await answer.text();
      if (answer.status === 200) return;
      await wait(50);
    }
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resident memory, MB; undefined where the system has no /proc. */
  get residentMb(): number | undefined {
    const status = this.#proc("status");
    return status === undefined ? undefined : Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  }

  /** What its open descriptors lead to, such as `socket` 12 times; empty where the system has no /proc. */
  get descriptors(): ReadonlyMap<string, number> {
    const directory = `/proc/${this.#child.pid}/fd`;
    const kinds = new Map<string, number>();
    for (const name of existsSync(directory) ? readdirSync(directory) : []) {
      const kind = targetOf(join(directory, name)).replace(/:.*/, "");
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    return kinds;
  }

  /** Processor time that the thread of the event loop has used, ms. */
  get loopCpuMs(): number | undefined {
    return cpuMsOf(this.#proc(`task/${this.#child.pid}/stat`));
  }

  /** Processor time of the whole process, ms, without its models'. */
  get cpuMs(): number | undefined {
    return cpuMsOf(this.#proc("stat"));
  }

  /** What the memory of its JavaScript holds once all that can be has been collected, MB, to a hundredth. */
  async collectedMb(): Promise<number> {
    const collected = this.log.collected();
    this.#child.kill("SIGUSR2");
    return Math.round((await Promise.race([collected, this.#ended.then(() => 0)])) / 10_486) / 100;
  }

  #proc(name: string): string | undefined {
    try {
      return readFileSync(`/proc/${this.#child.pid}/${name}`, "utf8");
    } catch {
      return undefined;
    }
  }

  /** Files of requests in the data directory; uploads live until the scan that comes every few minutes. */
  filesOfRequests(): string[] {
    const files = join(this.#box, "data", "files");
    return existsSync(files) ? filesUnder(files).filter((name) => !name.startsWith("u-")) : [];
  }

  /** Files that lie anywhere but in the data directory, or that a path in the corpus led to. */
  strayFiles(): string[] {
    const around = ["home", "tmp", "cwd"].flatMap((name) =>
      filesUnder(join(this.#box, name)).map((file) => join(this.#box, name, file)),
    );
    const beside = readdirSync(this.#box).filter((name) => !["home", "tmp", "cwd", "data"].includes(name));
    const inData = filesUnder(join(this.#box, "data")).filter((name) => name.includes(ESCAPED));
    const above = [tmpdir(), "/", ROOT, HERE, join(ROOT, "packages/server/src")].flatMap((directory) =>
      readdirSync(directory)
        .filter((name) => name.includes(ESCAPED))
        .map((name) => join(directory, name)),
    );
    return [...around, ...beside, ...inData, ...above];
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (!this.isAlive) return this.#child.exitCode;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const [code] = (await exited) as [number | null];
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#box, { recursive: true, force: true });
  }
}

/** Writes them as `inferq keys create` does, without a process for each. */
function makeKeys(dataDir: string): Keys {
  using store = openKeys(dataDir, systemClock());
  const add = (name: string, terms: Partial<ApiKey> = {}): string => {
    const secret = `sg_${randomBytes(16).toString("hex")}`;
    const key = { ...PLAIN_KEY, name, owner: name, hash: hashKey(secret), createdAt: Date.now(), ...terms };
    store.add(key, "start");
    return secret;
  };
  const keys = {
    good: add("good"),
    other: add("other"),
    readOnly: add("read-only", { owner: "good", scopes: ["read"] }),
    admin: add("admin", { owner: "good", scopes: ["submit", "read", "admin"] }),
    bound: add("bound", { models: ["rich"] }),
    limited: add("limited", { requestsInFlight: 1, requestsPerSecond: 50 }),
    revoked: add("revoked"),
  };
  store.revoke("revoked", "start");
  return keys;
}

/** Of a line of /proc (proc_pid_stat(5)): what user and system took, ms. */
function cpuMsOf(stat: string | undefined): number | undefined {
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "closed"; // meanwhile
  }
}

/** Paths from `directory`; what is deleted meanwhile is none. */
function filesUnder(directory: string): string[] {
  return entriesOf(directory).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(join(directory, entry.name)).map((name) => join(entry.name, name)) : [entry.name],
  );
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
