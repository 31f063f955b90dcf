/**
 * Networks in ONNX files, run by onnxruntime on the CPU. The library loads inside `openNetwork`, never on import.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { readFile } from "node:fs/promises";

/** Beyond this many threads the small networks here gain nothing, and other models want to run too. */
const MOST_THREADS = 4;

export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** A network with one input and one output. */
export interface Network {
  /** Runs it once. The event loop stands still meanwhile: between runs, let it turn. */
  run(input: Tensor): Promise<Tensor>;
}

export async function openNetwork(weights: URL): Promise<Network> {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(await readFile(weights), {
    // The arena never gives memory back; without it the peak is half, and the speed the same.
    enableCpuMemArena: false,
    intraOpNumThreads: Math.min(availableParallelism(), MOST_THREADS),
    logSeverityLevel: 3,
  });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  if (input === undefined || output === undefined) throw new Error(`${weights.pathname} has no input or no output`);
  return {
    async run({ data, dims }) {
      const result = (await session.run({ [input]: new Tensor("float32", data, dims) }))[output];
      if (!(result?.data instanceof Float32Array)) throw new Error(`${weights.pathname} gave no floats`);
      return { data: result.data, dims: result.dims };
    },
  };
}
