/** One child process: how it is started, spoken to and ended. Knows nothing of runs. */
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { MARKER, type Guard } from "./guard.ts";
import {
  LineSplitter,
  LineWriter,
  MAX_LINE,
  MAX_LOG_LINE,
  parseFromChild,
  type FromChild,
  type ToChild,
} from "./protocol.ts";

/** How long a process has between SIGTERM and SIGKILL, ms. With what a kill itself takes, a run that must stop has no process a second after its grace. */
const TERM_MS = 500;

/** How long its pipe has to drain after it ended, ms. */
const LAST_WORDS_MS = 1_000;

const ENTRY = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./child.ts" : "./child.js", import.meta.url));

export interface ChildListener {
  onMessage(message: FromChild): void;
  /** A line of the model's stdout or stderr. */
  onOutput(line: string): void;
  /** The process has ended and all it said was told. Called once; `reason` ends "The process …". */
  onGone(reason: string): void;
}

export interface Child {
  send(message: ToChild): void;
  /** SIGTERM, then SIGKILL to the whole group. `onGone` follows. */
  terminate(): void;
}

/** What could not be started. */
const NO_CHILD: Child = { send() {}, terminate() {} };

/** Starts a process. Its group is known to the guard before it is told to do anything. */
export function startChild(
  options: { readonly guard: Guard; readonly marker: string },
  listener: ChildListener,
): Child {
  const { guard, marker } = options;
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...keptArguments(), ENTRY], {
      detached: true,
      env: environment(marker),
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    });
  } catch (error) {
    // Some faults are thrown, others told as "error".
    setImmediate(() => listener.onGone(`could not be started: ${(error as Error).message}`));
    return NO_CHILD;
  }
  const { pid } = child;
  child.once("error", (error) => {
    if (pid === undefined) listener.onGone(`could not be started: ${error.message}`);
  });
  // Whatever the types say: where no descriptors are left there are no pipes.
  if ((child.stdio as unknown) === undefined) return NO_CHILD;
  const [, stdout, stderr, toChild, fromChild] = child.stdio as unknown as [
    null,
    Readable,
    Readable,
    Writable,
    Readable,
  ];
  if (pid !== undefined) guard.add(pid);

  let fault: string | undefined;
  const lines = new LineSplitter(
    MAX_LINE,
    (line) => {
      if (fault !== undefined) return;
      try {
        listener.onMessage(parseFromChild(line));
      } catch (error) {
        fail(`broke the runner's protocol: ${(error as Error).message}`);
      }
    },
    () => fail(`sent a line of more than ${MAX_LINE} characters`),
  );
  fromChild.setEncoding("utf8").on("data", (text: string) => lines.push(text));
  for (const stream of [stdout, stderr]) {
    const output = new LineSplitter(
      MAX_LOG_LINE,
      (line) => listener.onOutput(line),
      (start) => listener.onOutput(start),
    );
    stream
      .setEncoding("utf8")
      .on("data", (text: string) => output.push(text))
      .on("end", () => output.end());
  }
  // A broken pipe means that the process ends; "exit" tells.
  for (const stream of [stdout, stderr, toChild, fromChild]) stream.on("error", () => {});

  const writer = new LineWriter((text) => toChild.write(text));
  let killTimer: NodeJS.Timeout | undefined;

  child.once("exit", (code, signal) => {
    clearTimeout(killTimer);
    killGroup(child); // what it started ends with it
    guard.remove(pid!);
    afterEnd(fromChild, () => {
      // A grandchild that left the group may hold these open for ever.
      for (const stream of [stdout, stderr, toChild, fromChild]) stream.destroy();
      listener.onGone(fault ?? (signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`));
    });
  });

  function fail(reason: string): void {
    fault ??= reason;
    killGroup(child);
  }

  return {
    send(message) {
      writer.send(JSON.stringify(message));
    },
    terminate() {
      if (killTimer !== undefined) return;
      child.kill("SIGTERM");
      killTimer = setTimeout(() => killGroup(child), TERM_MS);
    },
  };
}

/** A debugger's port can be had only once. */
function keptArguments(): string[] {
  return process.execArgv.filter((argument) => !argument.startsWith("--inspect"));
}

/** The server's environment without its keys: models need PATH, HOME, CUDA_VISIBLE_DEVICES and the like. */
function environment(marker: string): NodeJS.ProcessEnv {
  const { INFERQ_API_KEYS: _keys, ...environment } = process.env;
  return { ...environment, [MARKER]: marker };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group has no process left.
  }
}

/** Calls back when `stream` has given all it has, or after a while if something still holds it open. */
function afterEnd(stream: Readable, then: () => void): void {
  if (stream.readableEnded || stream.destroyed) return then();
  const timer = setTimeout(done, LAST_WORDS_MS);
  stream.once("close", done);
  function done(): void {
    clearTimeout(timer);
    stream.off("close", done);
    then();
  }
}
