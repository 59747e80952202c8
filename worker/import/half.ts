/**
 * Makes a graph whose arithmetic is float16, for GPUs: half the memory, and the units that multiply matrices. PURE.
 *
 * Inputs and outputs keep their types. The operators of `half/operators.ts` compute in float16, and the others in float32 as before, with
 * casts in between. After the last operator that is not elementwise, what becomes whole numbers is float32: the last steps to pixels.
 * So are squares, subgraphs, and constants that float16 cannot hold. A value keeps its name in float32, so that subgraphs and outputs
 * find it; in float16 it has another one.
 */
import { create } from '@bufbuild/protobuf';

import { int } from './graph-builder.ts';
import { ELEMENT_TYPES, opsetOf, decodeModel, encodeModel } from './graph.ts';
import { follows, isElementwise, isWeighted, leads, rounds, takesHalf } from './half/operators.ts';
import { type ValueTypes, attributeOf, constantOf, valueTypesOf } from './half/value-types.ts';
import {
  AttributeProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts';

const { float32: FLOAT32, float16: FLOAT16, float64: FLOAT64, uint8, int8, bool } = ELEMENT_TYPES;
const FLOATS = new Set<number>([FLOAT16, FLOAT32, FLOAT64]);
/** A value of these is exact in float16, too. */
const SMALL = new Set<number>([uint8, int8, bool, FLOAT16]);
const PREFIX = 'float16/';
/** Of a simulated graph: a result before it is rounded, and in float16. */
const EXACT_PREFIX = 'exact/';
const ROUNDED_PREFIX = 'rounded/';
/** The largest number of float16, and the smallest with all of its eleven bits. */
const HALF_MAX = 65_504;
const HALF_MIN = 2 ** -14;

/**
 * Undefined if nothing in the graph that has weights can compute in float16, as in a graph that is float16 already.
 *
 * The CPU provider of ONNX Runtime computes float16 operators in float32, and drops the roundings in between. `simulated` gives a graph of
 * float32 that has these roundings, to measure on the CPU what they do.
 */
export function toHalf(file: Uint8Array, kind: 'float16' | 'simulated' = 'float16'): Uint8Array | undefined {
  const model = decodeModel(file);
  const { graph } = model;
  const opset = opsetOf(model);
  if (graph === undefined || opset === undefined) return undefined;
  const halved = new HalfGraph(graph, opset, kind === 'simulated').convert();
  return halved && encodeModel(create(ModelProtoSchema, { ...model, graph: halved }));
}

class HalfGraph {
  readonly #graph: GraphProto;
  readonly #opset: number;
  readonly #isSimulated: boolean;
  readonly #types: ValueTypes;
  /** Values that must not be rounded to float16 on their way to a whole number. */
  readonly #exact: ReadonlySet<string>;
  /** Constants of float32, by their names. */
  readonly #constants: ReadonlyMap<string, TensorProto>;
  /** What gives a value of float32 once it is needed: a constant, or a cast of a small number. */
  readonly #waiting = new Map<string, TensorProto | NodeProto>();
  readonly #inFloat32 = new Set<string>();
  /** The names in float16. */
  readonly #inFloat16 = new Map<string, string>();
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  #weightedNodes = 0;

  constructor(graph: GraphProto, opset: number, isSimulated: boolean) {
    this.#graph = graph;
    this.#opset = opset;
    this.#isSimulated = isSimulated;
    this.#types = valueTypesOf(graph);
    this.#exact = exactValues(graph.node);
    const nodes = graph.node.map((node) => [node.output[0] ?? '', constantOf(node)] as const);
    const initializers = graph.initializer.map((tensor) => [tensor.name, tensor] as const);
    this.#constants = new Map(
      [...nodes, ...initializers].flatMap(([name, tensor]) =>
        tensor?.dataType === FLOAT32 ? [[name, tensor] as const] : [],
      ),
    );
  }

  convert(): GraphProto | undefined {
    const { input, output, initializer, node } = this.#graph;
    const inputs = new Set(input.map(({ name }) => name));
    for (const { name } of input) this.#inFloat32.add(name);
    for (const tensor of initializer) {
      // A constant that is also an input cannot be left out: it would have to be given then.
      if (tensor.dataType === FLOAT32 && !inputs.has(tensor.name)) this.#waiting.set(tensor.name, tensor);
      else this.#initializers.push(tensor);
    }
    for (const one of node) this.#add(one);
    for (const { name } of output) this.#float32(name);
    if (this.#weightedNodes === 0) return undefined;
    return { ...this.#graph, node: this.#nodes, initializer: this.#initializers };
  }

  #add(node: NodeProto): void {
    const [result = ''] = node.output;
    if (this.#constants.has(result) || this.#isCastOfSmall(node)) {
      this.#waiting.set(result, node);
    } else if (this.#computesInHalf(node)) {
      if (isWeighted(node.opType)) this.#weightedNodes += 1;
      const input = node.input.map((name, index) =>
        takesHalf(node.opType, index) ? this.#float16(name) : this.#float32(name),
      );
      const results = node.output.filter((name) => this.#isFloat32(name));
      const nameOf = (name: string): string => (this.#isSimulated ? EXACT_PREFIX : PREFIX) + name;
      const output = node.output.map((name) => (results.includes(name) ? nameOf(name) : name));
      this.#nodes.push({ ...node, input, output });
      for (const name of results) {
        this.#inFloat16.set(name, PREFIX + name);
        if (this.#isSimulated) this.#round(nameOf(name), PREFIX + name);
      }
    } else {
      for (const name of outerValues(node)) this.#float32(name);
      this.#nodes.push(node);
      for (const name of node.output) this.#inFloat32.add(name);
    }
  }

  #computesInHalf({ opType, domain, input, output, attribute }: NodeProto): boolean {
    if (domain !== '' && domain !== 'ai.onnx') return false;
    if (attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0)) return false;
    const floats = input.filter((name, index) => this.#isFloat32(name) && takesHalf(opType, index));
    const isUnknown = input.some((name) => name !== '' && !this.#types.has(name));
    if (floats.length === 0 || isUnknown) return false;
    if (isElementwise(opType) && output.some((name) => this.#exact.has(name))) return false;
    // The square of what fits does not always fit, and it is usually summed up.
    if (opType === 'Mul' && input[0] === input[1]) return false;
    if (!floats.every((name) => fitsHalf(this.#constants.get(name)))) return false;
    if (leads(opType, this.#opset)) return true;
    return follows(opType, this.#opset) && floats.some((name) => this.#isAtHandInHalf(name));
  }

  #isFloat32(name: string): boolean {
    return this.#types.get(name) === FLOAT32;
  }

  #isCastOfSmall(node: NodeProto): boolean {
    const [result = ''] = node.output;
    return (
      node.opType === 'Cast' &&
      this.#isFloat32(result) &&
      SMALL.has(this.#types.get(node.input[0] ?? '') ?? 0)
    );
  }

  /** Without a cast from float32. */
  #isAtHandInHalf(name: string): boolean {
    if (this.#inFloat16.has(name)) return true;
    return this.#waiting.has(name) && !this.#constants.has(name);
  }

  /** Makes sure that a value is there under its own name. Returns it. */
  #float32(name: string): string {
    if (!this.#isFloat32(name) || this.#inFloat32.has(name)) return name;
    this.#inFloat32.add(name);
    const waiting = this.#waiting.get(name);
    const half = this.#inFloat16.get(name);
    if (waiting?.$typeName === 'onnx.TensorProto') this.#initializers.push(waiting);
    else if (waiting !== undefined) this.#nodes.push(waiting);
    else if (half !== undefined) this.#nodes.push(cast(half, name, FLOAT32));
    return name;
  }

  /** Returns the name of a value in float16. */
  #float16(name: string): string {
    if (!this.#isFloat32(name)) return name;
    const known = this.#inFloat16.get(name);
    if (known !== undefined) return known;
    const half = PREFIX + name;
    this.#inFloat16.set(name, half);
    const constant = this.#constants.get(name);
    const waiting = this.#waiting.get(name);
    if (constant !== undefined) this.#initializers.push(this.#halfTensor(half, constant));
    else if (waiting?.$typeName === 'onnx.NodeProto') this.#round(waiting.input[0] ?? '', half);
    else this.#round(this.#float32(name), half);
    return half;
  }

  #round(value: string, half: string): void {
    const rounded = this.#isSimulated ? ROUNDED_PREFIX + half : half;
    this.#nodes.push(cast(value, rounded, FLOAT16));
    if (this.#isSimulated) this.#nodes.push(cast(rounded, half, FLOAT32));
  }

  #halfTensor(name: string, tensor: TensorProto): TensorProto {
    const halves = new Float16Array(floatsOf(tensor));
    const { buffer } = this.#isSimulated ? new Float32Array(halves) : halves;
    const dataType = this.#isSimulated ? FLOAT32 : FLOAT16;
    return create(TensorProtoSchema, { name, dims: tensor.dims, dataType, rawData: new Uint8Array(buffer) });
  }
}

/** Values of which whole numbers are made, with what leads to them value by value. */
function exactValues(nodes: readonly NodeProto[]): Set<string> {
  const exact = new Set<string>();
  for (const node of nodes.toReversed()) {
    const { opType, input, output } = node;
    const isCast = opType === 'Cast' && !FLOATS.has(Number(attributeOf(node, 'to')?.i ?? FLOAT32));
    const isOnTheWay = isElementwise(opType) && output.some((name) => exact.has(name));
    if (rounds(opType) || isCast || isOnTheWay) for (const name of input) exact.add(name);
  }
  return exact;
}

/** The inputs of a node, and what its subgraphs take from around it. */
function outerValues({ input, attribute }: NodeProto): string[] {
  const graphs = attribute.flatMap(({ g, graphs: more }) => (g === undefined ? more : [g, ...more]));
  const inner = graphs.flatMap(({ node, output }) => [
    ...node.flatMap(outerValues),
    ...output.map(({ name }) => name),
  ]);
  return [...input, ...inner];
}

function floatsOf({ rawData, floatData }: TensorProto): Float32Array {
  // A copy, because the bytes of a file lie at any address.
  return rawData.length > 0
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData);
}

/** Whether the largest number of a constant keeps its eleven bits. Smaller ones matter less beside it. */
function fitsHalf(tensor: TensorProto | undefined): boolean {
  if (tensor === undefined) return true;
  const largest = floatsOf(tensor).reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return largest === 0 || (largest >= HALF_MIN && largest <= HALF_MAX);
}

function cast(value: string, result: string, type: number): NodeProto {
  const attribute = [create(AttributeProtoSchema, int('to', type))];
  const name = `cast to ${result}`;
  return create(NodeProtoSchema, { opType: 'Cast', name, input: [value], output: [result], attribute });
}
