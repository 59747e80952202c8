/**
 * Building blocks for graphs in ONNX's format. PURE.
 *
 * A graph has one opset, so the operators are those of the model's: none of them is newer than opset 7, and where their form has changed
 * since, the form of the model's opset is used.
 */
import { create } from '@bufbuild/protobuf';

import type { TensorFormat } from './format.ts';
import { ELEMENT_TYPES, type ElementType } from './graph.ts';
import {
  AttributeProtoSchema,
  NodeProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { FormatError } from './picture-shape.ts';

/** ITU-R BT.601, as for JPEG. */
const GREY_WEIGHTS = [0.299, 0.587, 0.114];
const ATTRIBUTE_TYPES = { f: 1, i: 2, ints: 7 } as const;

export function channelAxis(layout: TensorFormat['layout']): number {
  return layout === 'NCHW' ? 1 : 3;
}

/** Adds nodes and constants to a graph, in the form of its opset. */
export class GraphBuilder {
  readonly constants: TensorProto[] = [];
  readonly #opset: number;
  readonly #prefix: string;
  #nodes: NodeProto[] = [];
  #values = 0;

  /** All names begin with the prefix, so that they differ from those of the graph. */
  constructor(opset: number, prefix: string) {
    this.#opset = opset;
    this.#prefix = prefix;
  }

  /** The nodes since the last call. */
  takeNodes(): NodeProto[] {
    const nodes = this.#nodes;
    this.#nodes = [];
    return nodes;
  }

  /** Returns the name of its output. */
  node(
    opType: string,
    input: readonly string[],
    attribute: readonly Attribute[] = [],
    output = this.#newName(),
  ): string {
    const attributes = attribute.map((one) => create(AttributeProtoSchema, one));
    this.#nodes.push(
      create(NodeProtoSchema, {
        opType,
        input: [...input],
        output: [output],
        name: output,
        attribute: attributes,
      }),
    );
    return output;
  }

  identity(value: string, name: string): void {
    this.node('Identity', [value], [], name);
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.node('Transpose', [value], [ints('perm', perm)]);
  }

  cast(value: string, type: ElementType): string {
    return this.node('Cast', [value], [int('to', ELEMENT_TYPES[type])]);
  }

  reverseChannels(value: string, layout: TensorFormat['layout']): string {
    return this.node(
      'Gather',
      [value, this.constant('int64', [3], [2, 1, 0])],
      [int('axis', channelAxis(layout))],
    );
  }

  /** Multiplies and adds, for each channel or for all. Adds no operator that changes nothing. */
  scale(
    value: string,
    factors: readonly number[],
    offsets: readonly number[],
    layout: TensorFormat['layout'],
  ): string {
    const scaled = factors.every((factor) => factor === 1)
      ? value
      : this.node('Mul', [value, this.#perChannel(factors, layout)]);
    return offsets.every((offset) => offset === 0)
      ? scaled
      : this.node('Add', [scaled, this.#perChannel(offsets, layout)]);
  }

  grey(value: string, layout: TensorFormat['layout']): string {
    const weighted = this.node('Mul', [value, this.#perChannel(GREY_WEIGHTS, layout)]);
    return this.#overAxis('ReduceSum', weighted, channelAxis(layout), [int('keepdims', 1)]);
  }

  changeAxes(opType: 'Squeeze' | 'Unsqueeze', value: string, axis: number): string {
    return this.#overAxis(opType, value, axis, []);
  }

  clip(value: string, low: number, high: number): string {
    if (this.#opset < 11) return this.node('Clip', [value], [float('min', low), float('max', high)]);
    const bounds = [this.constant('float32', [], [low]), this.constant('float32', [], [high])];
    return this.node('Clip', [value, ...bounds]);
  }

  /** Keeps the axes, with the size 1. The axes were an attribute up to opset 17. */
  mean(value: string, axes: readonly number[]): string {
    const keep = int('keepdims', 1);
    return this.#opset < 18
      ? this.node('ReduceMean', [value], [ints('axes', axes), keep])
      : this.node('ReduceMean', [value, this.constant('int64', [axes.length], axes)], [keep]);
  }

  round(value: string): string {
    return this.node('Floor', [this.node('Add', [value, this.constant('float32', [], [0.5])])]);
  }

  /** The axis was an attribute up to opset 12. */
  #overAxis(opType: string, value: string, axis: number, attributes: readonly Attribute[]): string {
    return this.#opset < 13
      ? this.node(opType, [value], [ints('axes', [axis]), ...attributes])
      : this.node(opType, [value, this.constant('int64', [1], [axis])], attributes);
  }

  #perChannel(values: readonly number[], layout: TensorFormat['layout']): string {
    const [first = 0] = values;
    if (values.every((one) => one === first)) return this.constant('float32', [], [first]);
    return this.constant(
      'float32',
      layout === 'NCHW' ? [1, values.length, 1, 1] : [1, 1, 1, values.length],
      values,
    );
  }

  /** Returns its name. */
  constant(type: ElementType, shape: readonly number[], values: readonly number[]): string {
    const name = this.#newName();
    this.constants.push(tensorOf(name, type, shape, values));
    return name;
  }

  #newName(): string {
    this.#values += 1;
    return `${this.#prefix}${this.#values}`;
  }
}

type Attribute = { readonly name: string; readonly type: number } & (
  | { readonly i: bigint }
  | { readonly f: number }
  | { readonly ints: bigint[] }
);

export function int(name: string, value: number): Attribute {
  return { name, type: ATTRIBUTE_TYPES.i, i: BigInt(value) };
}
function ints(name: string, values: readonly number[]): Attribute {
  return { name, type: ATTRIBUTE_TYPES.ints, ints: values.map(BigInt) };
}
function float(name: string, value: number): Attribute {
  return { name, type: ATTRIBUTE_TYPES.f, f: value };
}

/** A constant. Free dimensions have the size 1. */
export function tensorOf(
  name: string,
  type: string,
  shape: readonly (number | string)[],
  values: readonly number[],
): TensorProto {
  const bytes = bytesOf(type, values);
  if (bytes === undefined)
    throw new FormatError(
      `The input "${name}" is ${type}.`,
      `Values can be given for inputs of ${Object.keys(ENCODERS).join(', ')}.`,
    );
  const dims = shape.map((side) => BigInt(typeof side === 'number' ? side : 1));
  const dataType = Object.entries(ELEMENT_TYPES).find(([one]) => one === type)?.[1] ?? 0;
  return create(TensorProtoSchema, { name, dims, dataType, rawData: bytes });
}

/** Little-endian, like every machine that Node runs on. */
const ENCODERS: Readonly<Record<string, (values: readonly number[]) => ArrayBufferView<ArrayBuffer>>> = {
  float32: (values) => Float32Array.from(values),
  float64: (values) => Float64Array.from(values),
  int64: (values) => BigInt64Array.from(values, BigInt),
  int32: (values) => Int32Array.from(values),
  uint8: (values) => Uint8Array.from(values),
  bool: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
};

function bytesOf(type: string, values: readonly number[]): Uint8Array<ArrayBuffer> | undefined {
  const encoded = ENCODERS[type]?.(values);
  return encoded && new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}

/** An input or output of uint8. Free dimensions have names. */
export function picture(name: string, shape: readonly (number | string)[]): ValueInfoProto {
  return tensor(name, 'uint8', shape);
}

/** An input or output of a graph. Free dimensions have names; those without a name are `?`. */
export function tensor(
  name: string,
  type: ElementType,
  shape: readonly (number | string)[] | undefined,
): ValueInfoProto {
  const dim = shape?.map((side) =>
    typeof side === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(side) } }
      : side === '?'
        ? {}
        : { value: { case: 'dimParam' as const, value: side } },
  );
  const value = { elemType: ELEMENT_TYPES[type], ...(dim && { shape: { dim } }) };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value } } });
}
