/** What is used here of onnxruntime-node 1.16.3, which ships without its declarations. */
declare module "onnxruntime-node" {
  export interface SessionOptions {
    readonly enableCpuMemArena?: boolean;
    readonly intraOpNumThreads?: number;
    /** 0 verbose, 1 info, 2 warning, 3 error, 4 fatal. */
    readonly logSeverityLevel?: 0 | 1 | 2 | 3 | 4;
  }

  export class Tensor {
    constructor(type: "float32", data: Float32Array, dims: readonly number[]);
    readonly data: Float32Array | BigInt64Array | Int32Array | Uint8Array;
    readonly dims: readonly number[];
  }

  export class InferenceSession {
    static create(model: Uint8Array, options?: SessionOptions): Promise<InferenceSession>;
    readonly inputNames: readonly string[];
    readonly outputNames: readonly string[];
    run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  }
}
