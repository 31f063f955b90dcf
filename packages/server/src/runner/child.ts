/**
 * Entry of the child process: takes the model's module from the server, runs its `setup` once and
 * its `run` many times. See protocol.ts for what is said on which file descriptor.
 */
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { pathToFileURL } from "node:url";
import type { ModelDefinition } from "../model/model.ts";
import { execute, messageOf } from "./execute.ts";
import { LineSplitter, LineWriter, MAX_LINE, type FromChild, type ToChild } from "./protocol.ts";

const FROM_SERVER = 3;
const TO_SERVER = 4;

/** Models that end their process on purpose (`mock-inference`) look for this, to spare a server that runs them inline. */
Object.assign(globalThis, { [Symbol.for("inferq.child")]: true });

const runs = new Map<number, AbortController>();
let model: { readonly definition: ModelDefinition; readonly session: unknown } | undefined;

// Written synchronously: the descriptor blocks, so a server that is slow to read slows the model
// down instead of filling its memory, and nothing said before a crash is lost.
const writer = new LineWriter((text) => {
  const bytes = Buffer.from(text);
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(TO_SERVER, bytes, written);
  } catch {
    endGroup();
  }
});

function say(message: FromChild): void {
  writer.send(JSON.stringify(message));
}

/** Ends this process and those it started: the server is gone, and nobody will ever read a result. */
function endGroup(): never {
  if (process.platform !== "win32") process.kill(-process.pid, "SIGKILL");
  process.exit(1);
}

async function setUp(module: string): Promise<void> {
  try {
    const url = module.startsWith("file:") ? module : pathToFileURL(module).href;
    const { default: definition } = (await import(url)) as { default?: ModelDefinition };
    if (typeof definition?.run !== "function") {
      throw new Error("its default export is no model: export default defineModel({ … })");
    }
    model = { definition, session: await definition.setup?.() };
    say({ t: "ready" });
  } catch (error) {
    say({ t: "setup_failed", message: messageOf(error) });
    writer.flush();
    process.exit(1);
  }
}

async function runOne({ n, input, directory, timeoutMs }: Extract<ToChild, { t: "run" }>): Promise<void> {
  const { definition, session } = model!;
  const controller = new AbortController();
  runs.set(n, controller);
  let told = -1;
  const outcome = await execute(
    definition,
    session,
    { input, directory, timeoutMs },
    {
      signal: controller.signal,
      onProgress(fraction) {
        // A model may call this for every pixel; a thousandth is as fine as anyone looks.
        if (fraction === told || (Math.abs(fraction - told) < 0.001 && fraction < 1)) return;
        told = fraction;
        say({ t: "progress", n, fraction });
      },
      onLog: (message) => say({ t: "log", n, message }),
      onPartial: (text) => say({ t: "partial", n, text }),
    },
  );
  runs.delete(n);
  try {
    const line = JSON.stringify({ t: "ended", n, outcome } satisfies FromChild);
    if (line.length > MAX_LINE) throw new Error(`it has ${line.length} characters, at most ${MAX_LINE} are taken`);
    writer.send(line);
  } catch (error) {
    const message = `The model's output could not be sent: ${messageOf(error)}`;
    say({ t: "ended", n, outcome: { type: "error", kind: "error", message, inferenceMs: outcome.inferenceMs } });
  }
}

function receive(line: string): void {
  const message = JSON.parse(line) as ToChild;
  if (message.t === "run") void runOne(message);
  else if (message.t === "cancel") runs.get(message.n)?.abort();
  else void setUp(message.module);
}

// An error that no run caught leaves the model in an unknown state: the process ends, the server starts another.
process.on("uncaughtException", (error) => {
  say({ t: "fatal", message: messageOf(error) });
  writer.flush();
  process.exit(1);
});

const lines = new LineSplitter(MAX_LINE, receive, endGroup);
new Socket({ fd: FROM_SERVER, readable: true, writable: false })
  .setEncoding("utf8")
  .on("data", (text: string) => lines.push(text))
  .on("error", endGroup)
  .on("end", endGroup);
