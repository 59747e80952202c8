/**
 * Wraps a graph, so that it takes and returns frames as the engine has them: uint8, batch x height x width x 3, red, green, blue. Everything
 * else (layout, order of channels, range, float16, no batch) is done by operators of the graph, on the device of the model. The model's
 * nodes and weights stay as they are. PURE.
 */
import { create } from '@bufbuild/protobuf';

import type { ModelFormat, TensorFormat, ValueRange } from './format.ts';
import { GraphBuilder, channelAxis, int, picture, tensor, tensorOf } from './graph-builder.ts';
import { type ImportedGraph, encodeModel } from './graph.ts';
import type { NumbersFormat } from './numbers-format.ts';
import { ModelProtoSchema, type ValueInfoProto } from './onnx_pb.ts';

export const FRAMES = 'frames';
export const SCORED = 'scored';
/** The oldest opset in which an operator takes operands of different shapes. */
export const OPSET_MIN = 7;
/** From this version of the format on, a constant need not be an input. */
const IR_VERSION_MIN = 4n;

/** Returns the file of the wrapped model. Throws FormatError. */
export function wrapGraph({ model, graph, opset }: ImportedGraph, format: ModelFormat): Uint8Array {
  const builder = new GraphBuilder(opset, 'framefleet/');
  const { size, batch } = format;
  const count = batch === 'any' ? 'batch' : batch;
  const state = format.state?.tensors ?? [];
  const isTaken = ({ name }: ValueInfoProto): boolean => state.some((one) => one.input === name);
  const isReturned = ({ name }: ValueInfoProto): boolean => state.some((one) => one.output === name);
  builder.identity(fromFrames(builder, format.input), format.input.name);
  const before = builder.takeNodes();
  const output =
    'kind' in format.output
      ? toNumbers(builder, format.output)
      : [picture(toPictures(builder, format.output), [count, 'scored height', 'scored width', 3])];
  const after = builder.takeNodes();
  const given = format.extraInputs.map(({ value, values }) =>
    tensorOf(value.name, value.type, value.shape, values),
  );
  const [height, width] =
    typeof size === 'object' && 'width' in size ? [size.height, size.width] : ['height', 'width'];
  const wrapped = create(ModelProtoSchema, {
    ...model,
    irVersion: model.irVersion < IR_VERSION_MIN ? IR_VERSION_MIN : model.irVersion,
    graph: {
      ...graph,
      node: [...before, ...graph.node, ...after],
      initializer: [...graph.initializer, ...given, ...builder.constants],
      input: [picture(FRAMES, [count, height, width, 3]), ...graph.input.filter(isTaken)],
      output: [...output, ...graph.output.filter(isReturned)],
    },
  });
  return encodeModel(wrapped);
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

/** From what the model returns to frames. Returns the name of the output. */
function toPictures(
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
  builder.identity(layout === 'NCHW' ? builder.transpose(value, [0, 2, 3, 1]) : value, SCORED);
  return SCORED;
}

/** Every output as float32, with the frame as the first dimension. */
function toNumbers(builder: GraphBuilder, { tensors }: NumbersFormat): ValueInfoProto[] {
  return tensors.map(({ name, type, shape, hasBatch }) => {
    let value = type === 'float32' ? name : builder.cast(name, 'float32');
    if (!hasBatch) value = builder.changeAxes('Unsqueeze', value, 0);
    builder.identity(value, numbersName(name));
    const described = hasBatch ? shape : [1, ...shape];
    return tensor(numbersName(name), 'float32', shape.length === 0 ? undefined : described);
  });
}

/** Of an output of the wrapped graph. */
export function numbersName(name: string): string {
  return `numbers/${name}`;
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
