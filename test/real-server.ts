/** A real server, started as its users start it: the command line in a process of its own, in a data directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CLI = join(ROOT, "packages/server/src/cli.ts");
export const KEY = "sg_0123456789abcdef";

export interface RealServer extends AsyncDisposable {
  /** Such as http://127.0.0.1:41234 */
  readonly base: string;
  readonly directory: string;
  readonly process: ChildProcess;
  /** Everything printed so far. */
  output(): string;
  /** Waits until this has been printed: log lines are gathered for a moment before they are. */
  said(text: string | RegExp): Promise<void>;
  /** A request with the test's key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  submit(model: string, input: unknown): Promise<{ request_id: string; status_url: string; response_url: string }>;
  /** Polls until the request is finished; answers its result's body. */
  result(id: string): Promise<Record<string, any>>; // oxlint-disable-line typescript/no-explicit-any -- a body of the wire
  /** Polls until /readyz answers 200. */
  ready(): Promise<void>;
  /** kill -9; resolves when the process is gone. The directory stays. */
  kill(): Promise<void>;
}

export interface RealServerOptions {
  /** A data directory to go on with; else a new one that is deleted at the end. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Config file, from the repository. */
  readonly config?: string;
  /** Limit of open files; needs bash. */
  readonly openFiles?: number;
}

export async function realServer(options: RealServerOptions = {}): Promise<RealServer> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "inferq-test-")));
  const args = ["--conditions=@inferq/source", CLI, "start"];
  if (options.config !== undefined) args.push("--config", resolve(ROOT, options.config));
  const [command, all] =
    options.openFiles === undefined
      ? [process.execPath, args]
      : ["bash", ["-c", `ulimit -n ${options.openFiles} && exec "$0" "$@"`, process.execPath, ...args]];
  const child = spawn(command, all, {
    cwd: ROOT,
    env: { ...process.env, PORT: "0", INFERQ_DATA_DIR: directory, INFERQ_API_KEYS: `test=${KEY}`, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  let output = "";
  const base = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
      if (address) resolve(address[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void exited.then(() => reject(new Error(`The server ended before it listened:\n${output}`)));
  });

  const request = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(base + path, { ...init, headers: { "x-api-key": KEY, ...(init.headers as Record<string, string>) } });

  return {
    base,
    directory,
    process: child,
    output: () => output,
    async said(text) {
      const closed = once(child, "close");
      while (typeof text === "string" ? !output.includes(text) : !text.test(output)) {
        if (child.exitCode !== null) throw new Error(`The server ended before it said ${text}:\n${output}`);
        await Promise.race([once(child.stdout, "data"), once(child.stderr, "data"), closed]);
      }
    },
    fetch: request,
    async submit(model, input) {
      const answer = await request(`/v2/${model}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(input),
      });
      if (answer.status !== 200) throw new Error(`Submit answered ${answer.status}: ${await answer.text()}`);
      return (await answer.json()) as { request_id: string; status_url: string; response_url: string };
    },
    async result(id) {
      for (;;) {
        const answer = await request(`/v2/requests/${id}`);
        const body = (await answer.json()) as { status?: string };
        if (body.status !== "QUEUED" && body.status !== "PROCESSING") return body;
        await pause(20);
      }
    },
    async ready() {
      while ((await request("/readyz")).status !== 200) await pause(50);
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A client between two polls: what it waits for happens in another process. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
