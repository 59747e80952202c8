/**
 * How a model takes and returns pictures: what its graph says, what its metadata says, and what its owner says. PURE.
 *
 * The range of pixel values is not in the graph: without metadata, the owner must give it. Channels are red, green, blue unless something
 * says otherwise.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import type { GraphValue } from '../engine/check-model.ts';
import type { ImportedGraph } from './graph.ts';
import { type NumbersAnswers, type NumbersFormat, numbersFormat, returnsNumbers } from './numbers-format.ts';
import {
  FormatError,
  type Layout,
  type PixelType,
  isOfAnyChannels,
  layoutOf,
  pictureAmong,
  pictureType,
} from './picture-shape.ts';
import { type StateAnswers, stateFormat } from './state-format.ts';

/** What the values of black and white are. */
export const RANGES = ['0..255', '0..1', '-1..1'] as const;
export type ValueRange = (typeof RANGES)[number];
export const CHANNEL_ORDERS = ['rgb', 'bgr', 'grey'] as const;
export type Channels = (typeof CHANNEL_ORDERS)[number];

/** What the owner says. */
export interface FormatAnswers extends NumbersAnswers, StateAnswers {
  readonly input?: string;
  readonly layout?: Layout;
  readonly channels?: Channels;
  readonly range?: ValueRange;
  /** In units of the range, a value for each channel or one for all. A value v becomes (v - mean) / std. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly outputRange?: ValueRange;
  readonly outputChannels?: Channels;
  /** Both sides of every frame must be multiples of this. */
  readonly multipleOf?: number;
  /** Of every frame, for a graph that leaves it free and runs at one size only. */
  readonly size?: FrameSize;
  /** Values of extra inputs, by name. */
  readonly values: ReadonlyMap<string, readonly number[]>;
}

export interface TensorFormat {
  readonly name: string;
  readonly type: PixelType;
  readonly layout: Layout;
  readonly channels: Channels;
  readonly range: ValueRange;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** False if the tensor has no dimension for the frames of a batch. */
  readonly hasBatch: boolean;
}

export interface ModelFormat {
  readonly input: TensorFormat;
  readonly output: TensorFormat | NumbersFormat;
  readonly size: 'any' | FrameSize | { readonly multipleOf: number };
  /** The number of frames that one run takes; `any` if the graph leaves it free. */
  readonly batch: 'any' | number;
  readonly extraInputs: readonly { readonly value: GraphValue; readonly values: readonly number[] }[];
  readonly state: ModelManifest['state'];
  /** What was assumed, for the owner to check. */
  readonly assumptions: readonly string[];
}

/** Metadata that WinML's tools write. */
const BITMAP_FORMATS: Readonly<Record<string, Channels>> = { Rgb8: 'rgb', Bgr8: 'bgr', Gray8: 'grey' };
const NOMINAL_RANGES: Readonly<Record<string, ValueRange>> = {
  NominalRange_0_255: '0..255',
  Normalized_0_1: '0..1',
  Normalized_1_1: '-1..1',
};

/** Throws FormatError. */
export function formatOf(imported: ImportedGraph, answers: FormatAnswers): ModelFormat {
  const { inputs, outputs: allOutputs, metadata } = imported;
  const assumptions: string[] = [];
  const { states = new Map<string, string>(), values } = answers;
  const value = pictureAmong(
    'input',
    inputs,
    answers.input,
    new Map<string, unknown>([...values, ...states]),
  );
  const fromMetadata = {
    channels: BITMAP_FORMATS[metadata.get('Image.BitmapPixelFormat') ?? ''],
    range: NOMINAL_RANGES[metadata.get('Image.NominalPixelRange') ?? ''],
  };
  const input = inputFormat(value, answers, fromMetadata, assumptions);
  const [first] = input.hasBatch ? value.shape : [1];
  const batch = typeof first === 'number' && first > 0 ? first : 'any';
  refuseUnknownValues(inputs, value, answers);
  const state = stateFormat({ inputs, outputs: allOutputs, picture: value, layout: input.layout }, answers);
  const outputs = outputsBesideState(allOutputs, answers);
  const isNumbers = returnsNumbers(outputs, answers);
  if (isNumbers && (answers.outputRange !== undefined || answers.outputChannels !== undefined))
    throw new FormatError(
      'The model returns numbers, which have no range and no channels of a picture.',
      'Leave out `--output-range` and `--output-channels`.',
    );
  const output = isNumbers
    ? numbersFormat(outputs, batch, answers)
    : outputFormat(pictureAmong('output', outputs, answers.output, new Map()), input, answers, assumptions);
  const isRunByRun = 'kind' in output && output.tensors.some(({ hasBatch }) => !hasBatch);
  if (isRunByRun && batch !== 'any' && batch > 1)
    throw new FormatError(
      `The model takes ${batch} frames in one run, but its outputs do not say which frame they belong to.`,
      'Export the model with a batch of one.',
    );
  return {
    input,
    output,
    size: sizeOf(value, sidesOf(value, input), answers),
    batch: isRunByRun ? 1 : batch,
    extraInputs: inputs
      .filter(({ name }) => name !== value.name && !states.has(name))
      .map((extra) => extraInput(extra, answers)),
    state,
    assumptions,
  };
}

/** A model may return its picture as its state, too. */
function outputsBesideState(
  outputs: readonly GraphValue[],
  { states = new Map(), output }: FormatAnswers,
): readonly GraphValue[] {
  const stored = new Set(states.values());
  const others = outputs.filter(({ name }) => name === output || !stored.has(name));
  return others.length === 0 ? outputs : others;
}

/** Values that are given must be those of extra inputs. */
function refuseUnknownValues(
  inputs: readonly GraphValue[],
  picture: GraphValue,
  { values }: FormatAnswers,
): void {
  const extra = inputs.filter(({ name }) => name !== picture.name).map(({ name }) => name);
  const unknown = [...values.keys()].find((name) => !extra.includes(name));
  if (unknown === undefined) return;
  throw new FormatError(
    unknown === picture.name
      ? `The input "${unknown}" takes the picture.`
      : `The model has no input "${unknown}".`,
    extra.length === 0
      ? 'Leave out `--set`: the model has no other input.'
      : `Its other inputs are ${extra.map((name) => `"${name}"`).join(', ')}.`,
  );
}

function inputFormat(
  value: GraphValue,
  answers: FormatAnswers,
  fromMetadata: { readonly channels: Channels | undefined; readonly range: ValueRange | undefined },
  assumptions: string[],
): TensorFormat {
  const type = pictureType('input', value);
  const { layout, channelCount, hasBatch } = layoutOf('input', value, answers.layout);
  const channels =
    channelCount === 1 ? 'grey' : (answers.channels ?? fromMetadata.channels ?? assumedRgb(assumptions));
  if ((channels === 'grey') !== (channelCount === 1))
    throw new FormatError(
      `The input "${value.name}" has ${channelCount} channels, which is not ${channels}.`,
      'Correct `--channels`.',
    );
  const range = type === 'uint8' ? '0..255' : (answers.range ?? fromMetadata.range);
  if (range === undefined)
    throw new FormatError(
      `The graph does not say which values the input "${value.name}" has for black and white.`,
      'Add `--range 0..255`, `--range 0..1` or `--range -1..1`, and `--mean` and `--std` if the model was trained with them (the usual ones of ImageNet: `--range 0..1 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225`).',
    );
  return {
    name: value.name,
    type,
    layout,
    channels,
    range,
    hasBatch,
    mean: perChannel('--mean', answers.mean, channelCount, 0),
    std: perChannel('--std', answers.std, channelCount, 1),
  };
}

function outputFormat(
  value: GraphValue,
  input: TensorFormat,
  { layout, outputChannels, outputRange }: FormatAnswers,
  assumptions: string[],
): TensorFormat {
  const type = pictureType('output', value);
  // Exporters often leave the output's shape out: then it is like the input's.
  const shape =
    value.shape.length === 0
      ? { layout: input.layout, channelCount: input.channels === 'grey' ? 1 : 3, hasBatch: input.hasBatch }
      : layoutOf('output', value, layout ?? (isOfAnyChannels(value.shape) ? input.layout : undefined));
  const grey = shape.channelCount === 1;
  const range = type === 'uint8' ? '0..255' : (outputRange ?? input.range);
  if (type !== 'uint8' && outputRange === undefined) assumptions.push(`the output has the range ${range}`);
  return {
    name: value.name,
    type,
    layout: shape.layout,
    channels: grey ? 'grey' : (outputChannels ?? (input.channels === 'grey' ? 'rgb' : input.channels)),
    range,
    mean: [],
    std: [],
    hasBatch: shape.hasBatch,
  };
}

function assumedRgb(assumptions: string[]): 'rgb' {
  assumptions.push('the channels are red, green, blue');
  return 'rgb';
}

function sidesOf(
  { shape }: GraphValue,
  { layout }: TensorFormat,
): { readonly height: number | string | undefined; readonly width: number | string | undefined } {
  const [height, width] = layout === 'NCHW' ? shape.slice(-2) : shape.slice(-3, -1);
  return { height, width };
}

function sizeOf(
  { name }: GraphValue,
  { width, height }: ReturnType<typeof sidesOf>,
  { size, multipleOf }: FormatAnswers,
): ModelFormat['size'] {
  const isOther =
    size !== undefined &&
    ((isFixed(width) && width !== size.width) || (isFixed(height) && height !== size.height));
  if (isOther)
    throw new FormatError(
      `The input "${name}" takes ${String(width)} x ${String(height)} only.`,
      'Leave out `--size`.',
    );
  if (isFixed(width) && isFixed(height)) return { width, height };
  if (size !== undefined) return size;
  if (isFixed(width) || isFixed(height))
    throw new FormatError(
      `The input "${name}" has only one fixed side: ${String(width)} x ${String(height)}.`,
      'Export the model with a fixed size or with both sides free.',
    );
  return multipleOf === undefined ? 'any' : { multipleOf };
}

function isFixed(side: number | string | undefined): side is number {
  return typeof side === 'number' && side > 0;
}

function extraInput(value: GraphValue, { values }: FormatAnswers): ModelFormat['extraInputs'][number] {
  const given = values.get(value.name);
  const described = `"${value.name}" (${value.type}, ${value.shape.join(' x ') || 'a single number'})`;
  if (given === undefined)
    throw new FormatError(
      `The model has another input, ${described}.`,
      `Give it a value for all frames: \`--set ${value.name}=VALUE\`; several numbers are separated by commas. If it takes what the model has returned with the frame before: \`--state ${value.name}=OUTPUT\`.`,
    );
  const count = value.shape.reduce<number>(
    (product, side) => product * (typeof side === 'number' ? side : 1),
    1,
  );
  if (given.length !== count)
    throw new FormatError(
      `The input ${described} takes ${count} ${count === 1 ? 'number' : 'numbers'}, not ${given.length}.`,
      'Correct `--set`.',
    );
  return { value, values: given };
}

function perChannel(
  flag: string,
  values: readonly number[] | undefined,
  channels: number,
  usual: number,
): readonly number[] {
  const given = values ?? [usual];
  if (given.length === 1) return Array.from({ length: channels }, () => given[0] ?? usual);
  if (given.length === channels) return given;
  throw new FormatError(
    `\`${flag}\` has ${given.length} values, but the model has ${channels} channels.`,
    'Give a value for each channel, or one for all.',
  );
}
