/**
 * Writes ONNX models as protocol buffers by hand (onnx.proto3, ONNX 1.16), because nothing else here can. Only what the models
 * of the tests need: nodes, constants, subgraphs, tensors with free dimensions.
 */
const IR_VERSION = 8;

const ELEMENT_TYPES = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
const ATTRIBUTE_TYPES = { int: 2, graph: 5, ints: 7 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** A part of a message, encoded as its field; a graph's parts may come in any order. */
export type OnnxPart = Buffer;

export type OnnxAttribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly ints: readonly number[] }
  | { readonly name: string; readonly graph: readonly OnnxPart[] };

/** A model whose main graph has these parts, of the default operators at this version. */
export function onnxModel({
  opset,
  graph,
}: {
  readonly opset: number;
  readonly graph: readonly OnnxPart[];
}): Buffer {
  return Buffer.concat([
    integer(1, IR_VERSION),
    bytes(7, bytes(2, 'main'), ...graph),
    bytes(8, integer(2, opset)),
  ]);
}

/** One operation. Without `op`-specific attributes the operator's defaults hold. An input named '' is left out. */
export function onnxNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly OnnxAttribute[] = [],
): OnnxPart {
  return bytes(
    1,
    ...inputs.map((name) => bytes(1, name)),
    ...outputs.map((name) => bytes(2, name)),
    bytes(3, outputs.join()),
    bytes(4, op),
    ...attributes.map(attribute),
  );
}

/** The attribute `to` of Cast. */
export function toType(type: ElementType): OnnxAttribute {
  return { name: 'to', int: ELEMENT_TYPES[type] };
}

type Values = Float32Array | Uint8Array | BigInt64Array;

/** A constant tensor. Little-endian, like the machines that run the tests. */
export function onnxConstant(name: string, dims: readonly number[], values: Values): OnnxPart {
  const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return bytes(
    5,
    ...dims.map((dimension) => integer(1, dimension)),
    integer(2, ELEMENT_TYPES[elementTypeOf(values)]),
    bytes(8, name),
    bytes(9, raw),
  );
}

/** Integers: a scalar or a vector. */
export function onnxIntegers(name: string, values: number | readonly number[]): OnnxPart {
  return typeof values === 'number'
    ? onnxConstant(name, [], BigInt64Array.of(BigInt(values)))
    : onnxConstant(name, [values.length], BigInt64Array.from(values, BigInt));
}

interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  /** A name for a dimension that is free. */
  readonly dims: readonly (number | string)[];
}

/** Weights in another file, which was not published with the graph. */
export function onnxExternal(name: string, dims: readonly number[], location: string): OnnxPart {
  return bytes(
    5,
    ...dims.map((dimension) => integer(1, dimension)),
    integer(2, ELEMENT_TYPES.float32),
    bytes(8, name),
    bytes(13, bytes(1, 'location'), bytes(2, location)),
    integer(14, 1),
  );
}

export function onnxInput(tensor: OnnxTensor): OnnxPart {
  return bytes(11, ...valueInfo(tensor));
}

export function onnxOutput(tensor: OnnxTensor): OnnxPart {
  return bytes(12, ...valueInfo(tensor));
}

function valueInfo({ name, type, dims }: OnnxTensor): Buffer[] {
  const shape = dims.map((one) => bytes(1, typeof one === 'number' ? integer(1, one) : bytes(2, one)));
  return [bytes(1, name), bytes(2, bytes(1, integer(1, ELEMENT_TYPES[type]), bytes(2, ...shape)))];
}

function attribute(one: OnnxAttribute): Buffer {
  if ('int' in one) {
    return bytes(5, bytes(1, one.name), integer(3, one.int), integer(20, ATTRIBUTE_TYPES.int));
  }
  if ('ints' in one) {
    const list = one.ints.map((value) => integer(8, value));
    return bytes(5, bytes(1, one.name), ...list, integer(20, ATTRIBUTE_TYPES.ints));
  }
  const graph = bytes(6, bytes(2, one.name), ...one.graph);
  return bytes(5, bytes(1, one.name), graph, integer(20, ATTRIBUTE_TYPES.graph));
}

function elementTypeOf(values: Values): ElementType {
  if (values instanceof Float32Array) return 'float32';
  return values instanceof Uint8Array ? 'uint8' : 'int64';
}

/** Not below zero, and below 2³¹. */
function varint(value: number): Buffer {
  const groups: number[] = [];
  let rest = value;
  while (rest > 127) {
    groups.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return Buffer.from([...groups, rest]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

/** A field of text, of bytes or of a message, which is its parts. */
function bytes(field: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}
