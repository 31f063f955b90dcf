/**
 * Networks in ONNX files, run by onnxruntime on the CPU. The library loads inside `openNetwork`, never on import.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { readFile } from "node:fs/promises";

/** Beyond this many threads the small networks here gain nothing. */
const MOST_THREADS = 4;

/**
 * One core is left to the server and to ffmpeg. onnxruntime's threads wait for each other by spinning:
 * on a machine that has no core to spare, two were measured to be slower than one.
 */
const THREADS = Math.max(1, Math.min(availableParallelism() - 1, MOST_THREADS));

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
    intraOpNumThreads: THREADS,
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
