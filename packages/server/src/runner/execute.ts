/** One call of a model's `run`, as the child process and the inline runner make it. Never rejects. */
import { join } from "node:path";
import { makeDirectoryNow } from "../blob/make-directory.ts";
import { isOutOfRoom } from "../core/host-faults.ts";
import type { ModelDefinition, OutputFile } from "../model/model.ts";
import { MAX_LOG_LINE } from "./protocol.ts";
import { PartialOutput } from "./partial-output.ts";
import type { Run, RunHooks, RunOutcome } from "./runner.ts";

/** How a call of `run` ended by itself. */
export type Executed = Extract<RunOutcome, { type: "completed" | "error" }>;

export async function execute(
  definition: ModelDefinition,
  session: unknown,
  run: Pick<Run, "input" | "directory" | "timeoutMs">,
  hooks: RunHooks,
): Promise<Executed> {
  const startedAt = performance.now();
  const files = new FileMaker(run.directory);
  const partial = new PartialOutput((text) => hooks.onPartial?.(text));
  try {
    const output = await definition.run(run.input, {
      session,
      signal: hooks.signal,
      timeoutSeconds: run.timeoutMs / 1_000,
      progress(fraction) {
        if (Number.isFinite(fraction)) hooks.onProgress?.(Math.min(1, Math.max(0, fraction)));
      },
      log(message: unknown) {
        hooks.onLog?.(String(message).slice(0, MAX_LOG_LINE));
      },
      partial: (text) => partial.add(text),
      file: (name) => files.file(name),
    });
    partial.flush();
    return { type: "completed", output, inferenceMs: performance.now() - startedAt, noDirectory: !files.made };
  } catch (error) {
    partial.flush();
    return { ...modelError(error), inferenceMs: performance.now() - startedAt, noDirectory: !files.made };
  }
}

/** The outcome of a run that threw. Told by name: a model may carry its own copy of the classes. */
function modelError(error: unknown): Omit<Extract<Executed, { type: "error" }>, "inferenceMs" | "noDirectory"> {
  const { name, afterMs } =
    error instanceof Error ? (error as Error & { afterMs?: unknown }) : { name: "", afterMs: 0 };
  const message = messageOf(error);
  if (name === "InvalidInput") return { type: "error", kind: "invalid_input", message };
  if (name !== "Retryable") return { type: "error", kind: isOutOfRoom(error) ? "out_of_room" : "error", message };
  const named = typeof afterMs === "number" && afterMs >= 0 && Number.isFinite(afterMs);
  return { type: "error", kind: "retryable", message, ...(named && { retryAfterMs: afterMs }) };
}

/** What `error` says, in one sentence for people; bounded, for it ends up in the request's row. Never throws, whatever was thrown. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message || error.name : error).slice(0, 2_000);
  } catch {
    return "Something was thrown that says nothing.";
  }
}

/** Names of files are checked because models build them from input: nothing may be written outside the attempt's directory. */
class FileMaker {
  /** Whether the directory has been made. */
  made = false;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  file(name: string): OutputFile {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(name)) {
      throw new Error(
        `file("${name}"): a file name has 1 to 100 letters, digits, ".", "_" or "-", no "/", and does not begin with "."`,
      );
    }
    if (!this.made) makeDirectoryNow(this.#directory);
    this.made = true;
    return { path: join(this.#directory, name) };
  }
}
