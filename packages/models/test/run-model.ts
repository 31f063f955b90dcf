/** Runs a model in this process as a runner would: a real directory for its files, its progress and log kept. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MediaFile, ModelDefinition, ModelOutput } from "inferq/model";
import { afterAll } from "vitest";

export interface ModelRun {
  readonly output: ModelOutput;
  /** Every fraction that the model reported, in order. */
  readonly progress: readonly number[];
  readonly logs: readonly string[];
}

interface Limits {
  readonly signal: AbortSignal;
  readonly timeoutSeconds: number;
}

const directories: string[] = [];

afterAll(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

export async function runModel<Session>(
  model: ModelDefinition<Session>,
  session: Session,
  input: Readonly<Record<string, unknown>>,
  { signal = new AbortController().signal, timeoutSeconds = 600 }: Partial<Limits> = {},
): Promise<ModelRun> {
  const directory = await temporaryDirectory();
  const progress: number[] = [];
  const logs: string[] = [];
  const output = await model.run(input, {
    session,
    signal,
    timeoutSeconds,
    progress: (fraction) => progress.push(fraction),
    log: (message) => logs.push(message),
    partial: () => undefined,
    file: (name) => ({ path: join(directory, name) }),
  });
  return { output, progress, logs };
}

/** A directory that is removed after the file's tests. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "inferq-model-"));
  directories.push(directory);
  return directory;
}

/** A media input as the server hands it to a model. */
export async function mediaFile(path: string, contentType: string): Promise<MediaFile> {
  return { path, contentType, size: (await stat(path)).size };
}
