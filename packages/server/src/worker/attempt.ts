/** One attempt, from lease to settlement: input, run, artifacts. Writes nothing to the store. */
import type { BlobStore } from "../blob/blob-store.ts";
import { inputJson } from "../blob/stored-input.ts";
import { InferqError, sentence, type ErrorCode } from "../core/errors.ts";
import { isDiskFull, isHostFault } from "../core/host-faults.ts";
import type { StoredInput } from "../core/request.ts";
import type { JsonSchema, ModelDefinition } from "../model/model.ts";
import type { Runner, RunOutcome } from "../runner/runner.ts";
import type { Lease, Settlement } from "../store/store.ts";
import { whenThereIsRoom } from "./host-trouble.ts";
import { storeOutput } from "./result.ts";
import type { Teller } from "./teller.ts";

/** One model as a worker serves it. */
export interface WorkerModel {
  /** The name that requests carry. */
  readonly name: string;
  readonly definition: ModelDefinition;
  readonly runner: Runner;
  /** Execution limit, ms; a request may ask for less. */
  readonly timeoutMs: number;
}

/** Makes a stored input ready for a run: its media become local files, in `directory` where they are fetched. */
export type Materialize = (
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  context: { readonly directory: string; readonly signal: AbortSignal },
) => Promise<Readonly<Record<string, unknown>>>;

/** Why a worker ends an attempt before its time: it is stopping, or the lease is no longer its own (another's, or the request has ended). */
export type AbortReason = "stop" | "lost";

export interface AttemptContext {
  readonly blobs: BlobStore;
  readonly materialize: Materialize;
  /** Working directory of this attempt. */
  readonly directory: string;
  /** Aborted with an `AbortReason`. */
  readonly signal: AbortSignal;
  /** Called once, when the attempt takes its place in the runner or will take none. */
  readonly onPlaced: () => void;
  /** Called while the output, which is kept until then, cannot be stored. */
  readonly onTrouble: (fault: unknown) => void;
  /** Whether this host may be why the attempt failed, whose files are removed for that: `outOfRoom`, it found no room. */
  readonly isHostToBlame: (outOfRoom: boolean) => Promise<boolean>;
  /** Of what the model tells while it runs. */
  readonly teller: Teller;
  readonly onPrinted: (line: string) => void;
}

/** `settlement` null: the lease is lost, nothing to write. `fault`: an error of the host's, not of the request's. */
export interface AttemptEnd {
  readonly settlement: Settlement | null;
  readonly fault?: unknown;
  /** The working directory was certainly not made, and need not be looked for. */
  readonly noDirectory?: boolean;
}

export async function attempt(lease: Lease, model: WorkerModel, context: AttemptContext): Promise<AttemptEnd> {
  const { signal, directory, blobs, teller, onPrinted } = context;
  const timeoutMs = Math.min(model.timeoutMs, lease.runTimeoutMs ?? Infinity);
  let inferenceMs = 0;
  let isReady = false;
  try {
    const stored = await readInput(lease.input, blobs);
    const { definition, runner } = model;
    const input = await context.materialize(stored, definition.input, { directory, signal });
    isReady = true;
    context.onPlaced();
    if (runner.state.type !== "ready") return { settlement: { type: "release" } }; // its process ended meanwhile
    const { id, attempt, crashes } = lease;
    const run = { id, attempt, input, directory, timeoutMs, alone: crashes > 0 };
    const kind = definition.outputOf?.(stored) ?? definition.output;
    const outcome = await runner.run(run, {
      signal,
      onPrinted,
      onLog: (message) => teller.line(message),
      onProgress: (fraction) => teller.progress(fraction),
      ...(kind === "text" && { onPartial: (text) => teller.output(text) }),
    });
    teller.end();
    inferenceMs = outcome.inferenceMs;
    const noDirectory = input === stored && "noDirectory" in outcome && (outcome.noDirectory ?? false);
    if (outcome.type !== "completed") {
      const doubtful = whatMayBeTheHosts(outcome);
      if (doubtful !== null && !signal.aborted && (await context.isHostToBlame(doubtful.outOfRoom))) {
        return { settlement: { type: "release" }, fault: new Error(doubtful.message), noDirectory };
      }
      return { settlement: settlementOf(outcome, timeoutMs, signal), noDirectory };
    }
    const result = await storeOutput(outcome.output, {
      id: lease.id,
      attempt: lease.attempt,
      kind,
      input: stored,
      directory,
      put: (key, source) => whenThereIsRoom(() => blobs.put(key, source), signal, context.onTrouble),
    });
    return { settlement: { type: "complete", result, inferenceMs, hasFiles: namesFiles(result) }, noDirectory };
  } catch (error) {
    if (signal.aborted) return { settlement: abandoned(signal) };
    if (error instanceof InferqError && error.code !== "store_unavailable") {
      return { settlement: failed("error", error.code, error.message, inferenceMs) };
    }
    // The request is not to blame for a full disk, unless its own inputs fill it: it goes back unspent, and the worker
    // waits. What else goes wrong here may be this request's doing and must not go round for ever.
    const isItsOwn = !isReady && isDiskFull(error) && !(await context.isHostToBlame(true));
    if (!isItsOwn && (isHostFault(error) || error instanceof InferqError)) {
      return { settlement: { type: "release" }, fault: error };
    }
    return { settlement: failed("retryable", "internal", sentence("internal"), inferenceMs), fault: error };
  } finally {
    context.onPlaced();
  }
}

async function readInput(stored: StoredInput, blobs: BlobStore): Promise<Record<string, unknown>> {
  const json = await inputJson(stored, blobs);
  if (json === undefined) throw new Error("The file that holds the request's input is missing");
  return JSON.parse(json) as Record<string, unknown>;
}

/** A failure that a full disk can be the reason of. */
function whatMayBeTheHosts(outcome: RunOutcome): { readonly message: string; readonly outOfRoom: boolean } | null {
  if (outcome.type === "crashed") return { message: outcome.message, outOfRoom: false };
  if (outcome.type !== "error" || outcome.kind === "invalid_input") return null;
  return { message: outcome.message, outOfRoom: outcome.kind === "out_of_room" };
}

function settlementOf(
  outcome: Exclude<RunOutcome, { type: "completed" }>,
  timeoutMs: number,
  signal: AbortSignal,
): Settlement | null {
  const { inferenceMs } = outcome;
  switch (outcome.type) {
    case "error":
      if (outcome.kind !== "retryable" && outcome.kind !== "out_of_room") {
        const code = outcome.kind === "invalid_input" ? "invalid_input" : "model_error";
        return failed("error", code, sentence(code, { detail: outcome.message }), inferenceMs);
      }
      return {
        ...failed("retryable", "retries_exhausted", outcome.message, inferenceMs),
        ...(outcome.retryAfterMs !== undefined && { retryAfterMs: outcome.retryAfterMs }),
      };
    case "crashed":
      return failed("crash", "runner_crashed", sentence("runner_crashed", { detail: outcome.message }), inferenceMs);
    case "timed_out":
      return failed("error", "run_timeout", sentence("run_timeout", { seconds: timeoutMs / 1_000 }), inferenceMs);
    case "aborted":
      return abandoned(signal);
  }
}

/** A lost lease leaves nothing to settle; whatever else aborts a run gives the request back, its attempt unspent. */
function abandoned(signal: AbortSignal): Settlement | null {
  return signal.reason === ("lost" satisfies AbortReason) ? null : { type: "release" };
}

function failed(
  kind: "error" | "retryable" | "crash",
  code: ErrorCode,
  message: string,
  inferenceMs: number,
): Extract<Settlement, { type: "fail" }> {
  return { type: "fail", kind, failure: { code, message }, inferenceMs };
}

function namesFiles(result: Extract<Settlement, { type: "complete" }>["result"]): boolean {
  return result.kind !== "text" || typeof result.text !== "string";
}
