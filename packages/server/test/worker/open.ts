import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import type { Request, Submission } from "../../src/core/request.ts";
import type { ModelDefinition } from "../../src/model/model.ts";
import { inlineRunner } from "../../src/runner/inline.ts";
import type { Runner } from "../../src/runner/runner.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore, StoreDriver } from "../../src/store/store.ts";
import { manualClock, type ManualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { scratchDirectory } from "../scratch.ts";

export const LEASE_MS = 30_000;

/** A worker over the plain store and real files, with one model named "model", and a hand on what happens. */
export interface Opened extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly store: StoreDriver;
  readonly blobs: BlobStore;
  readonly worker: Worker;
  /** Another worker over the same store and files. */
  readonly another: (model: ModelDefinition, name: string) => Worker;
  /** What was logged: fields and message together. */
  readonly logged: readonly Readonly<Record<string, unknown>>[];
  /** Submits a request; answers its id. */
  readonly submit: (input?: object, more?: Partial<Submission>) => Promise<string>;
  /** Resolves with the request once `is` holds of it. */
  readonly until: (id: string, is: (request: Request) => boolean) => Promise<Request>;
  /** Keys of all blobs, random names left out. */
  readonly files: () => Promise<string[]>;
  /** What lies in the working directory. */
  readonly working: () => Promise<string[]>;
}

export interface Settings {
  readonly runner?: Runner;
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  readonly worker?: Partial<WorkerOptions>;
  /** Puts something between the worker and its store, or its blobs. */
  readonly wrapStore?: (store: RequestStore) => RequestStore;
  readonly wrapBlobs?: (blobs: BlobStore) => BlobStore;
}

export async function openWorker(model: ModelDefinition, settings: Settings = {}): Promise<Opened> {
  const scratch = await scratchDirectory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const store = memoryStore({ clock });
  const blobs = fsBlobStore(join(scratch.path, "files"));
  const logged: Record<string, unknown>[] = [];
  const log = (fields: object, message: string): void => void logged.push({ ...fields, message });
  const workers: Worker[] = [];

  function another(definition: ModelDefinition, name: string): Worker {
    const { concurrency = 4, timeoutMs = 60_000 } = settings;
    const runner = (workers.length === 0 && settings.runner) || inlineRunner({ definition, concurrency });
    const worker = new Worker({
      name,
      store: settings.wrapStore?.(store) ?? store,
      events: store.events,
      blobs: settings.wrapBlobs?.(blobs) ?? blobs,
      clock,
      log: { debug: log, info: log, warn: log, error: log },
      models: [{ name: "model", definition, runner, timeoutMs }],
      materialize: (input) => Promise.resolve({ ...input }),
      workDirectory: join(scratch.path, "work", name),
      leaseMs: LEASE_MS,
      stopGraceMs: 0,
      pollMs: 5,
      durableLeases: false,
      ...settings.worker,
    });
    workers.push(worker);
    return worker;
  }
  const worker = another(model, "first");
  await worker.start();

  return {
    clock,
    store,
    blobs,
    worker,
    another,
    logged,
    async submit(input = {}, more = {}) {
      const request = submission({ model: "model", owner: "ada", input: { json: JSON.stringify(input) }, ...more });
      await store.enqueue(request);
      return request.id;
    },
    async until(id, is) {
      for (;;) {
        const request = await store.get(id);
        if (request !== undefined && is(request)) return request;
        await new Promise<void>((resolve) => {
          const stop = store.onWake!(() => (stop(), resolve()));
        });
      }
    },
    async files() {
      const keys: string[] = [];
      for await (const id of blobs.list("")) {
        for await (const attempt of blobs.list(`${id}/`)) keys.push(`${id}/${attempt}`);
      }
      return keys.sort();
    },
    working: () => readdir(join(scratch.path, "work", "first")),
    async [Symbol.asyncDispose]() {
      for (const each of workers) await each.stop();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

export function finished({ status }: Request): boolean {
  return status === "COMPLETED" || status === "FAILED";
}

/** A model named "model" that runs `run`. */
export function modelOf(run: ModelDefinition["run"], more: Partial<ModelDefinition> = {}): ModelDefinition {
  return { name: "model", output: "text", input: { type: "object" }, run, ...more };
}

/** Waits until `signal` aborts, as a model that minds it. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}
