/**
 * Wraps a graph, so that it takes and returns frames as the engine has them: uint8, batch x height x width x 3, red, green, blue. Everything
 * else (layout, order of channels, range, float16, no batch) is done by operators of the graph, on the device of the model. PURE.
 *
 * The operators are those of the model's own opset, because a graph has one opset: none of them is newer than opset 7, and where their
 * form has changed since, the form of the model's opset is used. The model's nodes and weights stay as they are.
 */
import { create, toBinary } from '@bufbuild/protobuf';

import type { ModelFormat, TensorFormat, ValueRange } from './format.ts';
import { ELEMENT_TYPES, type ElementType, type ImportedGraph } from './graph.ts';
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { FormatError } from './picture-shape.ts';

export const FRAMES = 'frames';
export const SCORED = 'scored';
/** The oldest opset in which an operator takes operands of different shapes. */
export const OPSET_MIN = 7;
/** From this version of the format on, a constant need not be an input. */
const IR_VERSION_MIN = 4n;
const PREFIX = 'framefleet/';
/** ITU-R BT.601, as for JPEG. */
const GREY_WEIGHTS = [0.299, 0.587, 0.114];
const ATTRIBUTE_TYPES = { f: 1, i: 2, ints: 7 } as const;

/** Returns the file of the wrapped model. Throws FormatError. */
export function wrapGraph({ model, graph, opset }: ImportedGraph, format: ModelFormat): Uint8Array {
  const builder = new GraphBuilder(opset);
  builder.identity(fromFrames(builder, format.input), format.input.name);
  const before = builder.takeNodes();
  builder.identity(toFrames(builder, format.output), SCORED);
  const after = builder.takeNodes();
  const given = format.extraInputs.map(({ value, values }) =>
    tensorOf(value.name, value.type, value.shape, values),
  );
  const { size, batch } = format;
  const [height, width] =
    typeof size === 'object' && 'width' in size ? [size.height, size.width] : ['height', 'width'];
  const count = batch === 'any' ? 'batch' : batch;
  const wrapped = create(ModelProtoSchema, {
    ...model,
    irVersion: model.irVersion < IR_VERSION_MIN ? IR_VERSION_MIN : model.irVersion,
    graph: {
      ...graph,
      node: [...before, ...graph.node, ...after],
      initializer: [...graph.initializer, ...given, ...builder.constants],
      input: [picture(FRAMES, [count, height, width, 3])],
      output: [picture(SCORED, [count, 'scored height', 'scored width', 3])],
    },
  });
  return toBinary(ModelProtoSchema, wrapped);
}

/** From frames to what the model takes. Pixels are moved while they are bytes, and calculated with as floats. */
function fromFrames(builder: GraphBuilder, format: TensorFormat): string {
  const { layout, channels, type, hasBatch } = format;
  let value = FRAMES;
  if (layout === 'NCHW') value = builder.transpose(value, [0, 3, 1, 2]);
  if (channels === 'bgr') value = builder.reverseChannels(value, layout);
  if (type !== 'uint8' || channels === 'grey') {
    value = builder.cast(value, 'float32');
    if (channels === 'grey') value = builder.grey(value, layout);
    const { factors, offsets } = fromBytes(format);
    value = builder.scale(value, factors, offsets, layout);
    if (type !== 'float32') value = builder.cast(type === 'uint8' ? builder.round(value) : value, type);
  }
  return hasBatch ? value : builder.changeAxes('Squeeze', value, 0);
}

/** From what the model returns to frames. */
function toFrames(
  builder: GraphBuilder,
  { name, layout, channels, type, range, hasBatch }: TensorFormat,
): string {
  let value = hasBatch ? name : builder.changeAxes('Unsqueeze', name, 0);
  if (type !== 'uint8') {
    if (type === 'float16') value = builder.cast(value, 'float32');
    const [low, high] = boundsOf(range);
    const factor = 255 / (high - low);
    value = builder.scale(value, [factor], [-low * factor], layout);
    value = builder.cast(builder.round(builder.clip(value, 0, 255)), 'uint8');
  }
  if (channels === 'grey')
    value = builder.node('Concat', [value, value, value], [int('axis', channelAxis(layout))]);
  if (channels === 'bgr') value = builder.reverseChannels(value, layout);
  return layout === 'NCHW' ? builder.transpose(value, [0, 2, 3, 1]) : value;
}

/** For each channel: a byte x becomes x * factor + offset. */
function fromBytes({ range, mean, std }: TensorFormat): {
  readonly factors: number[];
  readonly offsets: number[];
} {
  const [low, high] = boundsOf(range);
  return {
    factors: std.map((deviation) => (high - low) / 255 / deviation),
    offsets: std.map((deviation, channel) => (low - (mean[channel] ?? 0)) / deviation),
  };
}

function boundsOf(range: ValueRange): readonly [low: number, high: number] {
  const [low = '', high = ''] = range.split('..');
  return [Number(low), Number(high)];
}

function channelAxis(layout: TensorFormat['layout']): number {
  return layout === 'NCHW' ? 1 : 3;
}

class GraphBuilder {
  readonly constants: TensorProto[] = [];
  readonly #opset: number;
  #nodes: NodeProto[] = [];
  #values = 0;

  constructor(opset: number) {
    this.#opset = opset;
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
      [value, this.#constant('int64', [3], [2, 1, 0])],
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
    const bounds = [this.#constant('float32', [], [low]), this.#constant('float32', [], [high])];
    return this.node('Clip', [value, ...bounds]);
  }

  round(value: string): string {
    return this.node('Floor', [this.node('Add', [value, this.#constant('float32', [], [0.5])])]);
  }

  /** The axis was an attribute up to opset 12. */
  #overAxis(opType: string, value: string, axis: number, attributes: readonly Attribute[]): string {
    return this.#opset < 13
      ? this.node(opType, [value], [ints('axes', [axis]), ...attributes])
      : this.node(opType, [value, this.#constant('int64', [1], [axis])], attributes);
  }

  #perChannel(values: readonly number[], layout: TensorFormat['layout']): string {
    const [first = 0] = values;
    if (values.every((one) => one === first)) return this.#constant('float32', [], [first]);
    return this.#constant(
      'float32',
      layout === 'NCHW' ? [1, values.length, 1, 1] : [1, 1, 1, values.length],
      values,
    );
  }

  #constant(type: ElementType, shape: readonly number[], values: readonly number[]): string {
    const name = this.#newName();
    this.constants.push(tensorOf(name, type, shape, values));
    return name;
  }

  #newName(): string {
    this.#values += 1;
    return `${PREFIX}${this.#values}`;
  }
}

type Attribute = { readonly name: string; readonly type: number } & (
  | { readonly i: bigint }
  | { readonly f: number }
  | { readonly ints: bigint[] }
);

function int(name: string, value: number): Attribute {
  return { name, type: ATTRIBUTE_TYPES.i, i: BigInt(value) };
}
function ints(name: string, values: readonly number[]): Attribute {
  return { name, type: ATTRIBUTE_TYPES.ints, ints: values.map(BigInt) };
}
function float(name: string, value: number): Attribute {
  return { name, type: ATTRIBUTE_TYPES.f, f: value };
}

/** A constant. Free dimensions have the size 1. */
function tensorOf(
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

function picture(name: string, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((side) =>
    typeof side === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(side) } }
      : { value: { case: 'dimParam' as const, value: side } },
  );
  const value = { elemType: ELEMENT_TYPES.uint8, shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value } } });
}
