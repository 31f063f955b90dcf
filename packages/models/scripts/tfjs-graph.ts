/** Reads a TensorFlow.js graph model: the JSON file's nodes and the constants of its weight file. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, GraphAttribute>>;
}

interface GraphAttribute {
  /** Base64. */
  readonly s?: string;
  readonly b?: boolean;
  readonly list?: { readonly i?: readonly string[]; readonly s?: readonly string[] };
}

export interface Constant {
  /** As TensorFlow lays it out: pictures as NHWC, kernels as height, width, in, out. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface GraphModel {
  /** In the order in which they run. */
  readonly nodes: readonly GraphNode[];
  constant(name: string): Constant | undefined;
}

interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string };
}

interface ModelJson {
  readonly modelTopology: { readonly node: readonly GraphNode[] };
  readonly weightsManifest: readonly { readonly paths: readonly string[]; readonly weights: readonly WeightEntry[] }[];
}

export function readGraphModel(file: string): GraphModel {
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(file, "utf8")) as ModelJson;
  const constants = new Map<string, Constant>();
  for (const { paths, weights } of weightsManifest) {
    const bytes = Buffer.concat(paths.map((path) => readFileSync(join(dirname(file), path))));
    let offset = 0;
    for (const entry of weights) {
      const { size, read } = encodingOf(entry);
      const count = entry.shape.reduce((product, dim) => product * dim, 1);
      const start = offset;
      const values = Float32Array.from({ length: count }, (_, i) => read(bytes, start + i * size));
      constants.set(entry.name, { shape: entry.shape, values });
      offset += count * size;
    }
  }
  return { nodes: modelTopology.node, constant: (name) => constants.get(name) };
}

/** The integers of a list attribute, e.g. `strides`. */
export function integers(node: GraphNode, attribute: string): number[] {
  const list = node.attr?.[attribute]?.list?.i;
  if (list === undefined) throw new Error(`${node.op} ${node.name} has no ${attribute}`);
  return list.map(Number);
}

/** A string attribute, e.g. `padding`. */
export function text(node: GraphNode, attribute: string): string {
  return Buffer.from(node.attr?.[attribute]?.s ?? "", "base64").toString();
}

function encodingOf(entry: WeightEntry): { size: number; read: (bytes: Buffer, at: number) => number } {
  const encoding = entry.quantization?.dtype ?? entry.dtype;
  if (encoding === "float16") return { size: 2, read: (bytes, at) => float16(bytes.readUInt16LE(at)) };
  if (encoding === "float32") return { size: 4, read: (bytes, at) => bytes.readFloatLE(at) };
  if (encoding === "int32") return { size: 4, read: (bytes, at) => bytes.readInt32LE(at) };
  throw new Error(`weight ${entry.name} is stored as ${encoding}, which is not read here`);
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) throw new Error("a weight is infinite or not a number");
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
