/**
 * Writes ONNX models: just enough of the protobuf encoding for the conversion scripts beside it.
 * Field numbers are those of onnx/onnx.proto (IR version 8, operator set 13).
 */

export type Attribute = number | string | readonly number[];

const OPERATOR_SET = 13;
const IR_VERSION = 8;
const FLOAT = 1;
const INT64 = 7;

/** A graph under construction. Nodes must be added in the order in which they run. */
export class OnnxGraph {
  readonly #name: string;
  readonly #nodes: Buffer[] = [];
  readonly #initializers: Buffer[] = [];
  readonly #inputs: Buffer[] = [];
  readonly #outputs: Buffer[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** Adds one operation with one output and returns that output's name. Attributes are INT, INTS or STRING. */
  node(
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    this.#nodes.push(
      Buffer.concat([
        ...inputs.map((input) => bytesField(1, input)),
        bytesField(2, output),
        bytesField(3, output),
        bytesField(4, operator),
        ...Object.entries(attributes).map(([name, value]) => bytesField(5, attribute(name, value))),
      ]),
    );
    return output;
  }

  /** Adds a constant and returns its name. */
  floats(name: string, dims: readonly number[], values: Float32Array): string {
    const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    return this.#initializer(name, dims, FLOAT, raw, values.length);
  }

  /** Adds a constant of 64-bit integers, such as the sizes that `Resize` takes, and returns its name. */
  integers(name: string, values: readonly number[]): string {
    const raw = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
    return this.#initializer(name, [values.length], INT64, raw, values.length);
  }

  /** Declares an input of floats. A dimension that is a string may have any size. */
  input(name: string, dims: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, dims));
    return name;
  }

  output(name: string, dims: readonly (number | string)[]): void {
    this.#outputs.push(valueInfo(name, dims));
  }

  /** The bytes of an .onnx file. */
  encode(): Buffer {
    const graph = Buffer.concat([
      ...this.#nodes.map((node) => bytesField(1, node)),
      bytesField(2, this.#name),
      ...this.#initializers.map((tensor) => bytesField(5, tensor)),
      ...this.#inputs.map((info) => bytesField(11, info)),
      ...this.#outputs.map((info) => bytesField(12, info)),
    ]);
    return Buffer.concat([
      integerField(1, IR_VERSION),
      bytesField(7, graph),
      bytesField(8, integerField(2, OPERATOR_SET)),
    ]);
  }

  #initializer(name: string, dims: readonly number[], type: number, raw: Buffer, count: number): string {
    const expected = dims.reduce((product, dim) => product * dim, 1);
    if (expected !== count)
      throw new Error(`${name} has ${count} values, but its shape [${dims.join()}] takes ${expected}`);
    this.#initializers.push(
      Buffer.concat([
        ...dims.map((dim) => integerField(1, dim)),
        integerField(2, type),
        bytesField(8, name),
        bytesField(9, raw),
      ]),
    );
    return name;
  }
}

function attribute(name: string, value: Attribute): Buffer {
  const named = bytesField(1, name);
  if (typeof value === "number") return Buffer.concat([named, integerField(3, value), integerField(20, 2)]);
  if (typeof value === "string") return Buffer.concat([named, bytesField(4, value), integerField(20, 3)]);
  return Buffer.concat([named, ...value.map((item) => integerField(8, item)), integerField(20, 7)]);
}

function valueInfo(name: string, dims: readonly (number | string)[]): Buffer {
  const shape = dims.map((dim) => bytesField(1, typeof dim === "string" ? bytesField(2, dim) : integerField(1, dim)));
  const tensorType = Buffer.concat([integerField(1, FLOAT), bytesField(2, Buffer.concat(shape))]);
  return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

function integerField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function bytesField(field: number, value: Buffer | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
