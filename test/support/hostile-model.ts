/**
 * A model whose behaviour depends on the colour of the frame: it returns ordinary frames unchanged, kills its process for a black
 * frame, fails for a red one, is slow for a green one, slower for a blue one, and never ends for a white one. The graph decides from
 * the pixels, so the faults happen in the real runtime, and the same frame always causes the same fault. Of several frames in one run,
 * each causes its fault.
 *
 * The colours have a margin, because JPEG changes plain colours by a level or two (red becomes 254, 0, 0). The crash is a division
 * that traps on x86-64, but not on arm64.
 */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxInput,
  onnxIntegers,
  onnxModel,
  onnxNode,
  onnxOutput,
  toType,
} from './onnx-writer.ts';

/** Opset 18 has BitwiseOr, the only operator that can pass uint8 pixels through unchanged. */
const OPSET = 18;

/** The colour of each kind of frame. */
export const HOSTILE_FRAMES = {
  /** The process dies of SIGFPE. */
  crash: { r: 0, g: 0, b: 0 },
  /** The run throws: an index is out of bounds. */
  error: { r: 255, g: 0, b: 0 },
  /** One to two seconds on a core of 2025, whatever the size. */
  slow: { r: 0, g: 0, b: 255 },
  /** A tenth of a second: for batches that a test interrupts. */
  steady: { r: 0, g: 255, b: 0 },
  /** About 300 years, without growing memory. */
  hang: { r: 255, g: 255, b: 255 },
  ordinary: { r: 64, g: 128, b: 192 },
} as const;

/** A channel is dark if all its pixels are at most DARK_MAX, and bright if all are at least BRIGHT_MIN. */
const DARK_MAX = 15;
const BRIGHT_MIN = 240;
/** What a bright channel adds to the frame's number. A dark one adds nothing. Any other makes the frame ordinary. */
const BRIGHT_ADDS = [1, 2, 4];
const ORDINARY = 8;
const NUMBERS = { crash: 0, error: 1, steady: 2, slow: 4, hang: 7 } as const;

/** Its negation overflows int64. The runtime checks only for zero divisors. */
const INT64_MIN = -(2 ** 63);
const STEADY_TRIPS = 100_000;
const SLOW_TRIPS = 1_500_000;
const ENDLESS_TRIPS = Number.MAX_SAFE_INTEGER;

const INTEGER = { type: 'int64', dims: [] } as const;
const FLAG = { type: 'bool', dims: [] } as const;

/** What a grey level of the counting model stands for. */
export const LEVELS_PER_FRAME = 8;
const COUNT = { type: 'float32', dims: [1] } as const;

/** Returns the frame combined with a zero that no optimiser can predict, because it comes from the faulty operators. */
function hostileModel(): Buffer {
  return onnxModel({
    opset: OPSET,
    graph: [FRAMES_IN, FRAMES_OUT, ...zero(), onnxNode('BitwiseOr', ['frames', 'zero'], ['same'])],
  });
}

/** Its state is how many frames it has scored, and its pictures show that as a grey level. */
function countingModel(): Buffer {
  return onnxModel({
    opset: OPSET,
    graph: [
      FRAMES_IN,
      FRAMES_OUT,
      onnxInput({ name: 'count', ...COUNT }),
      onnxOutput({ name: 'next count', ...COUNT }),
      ...zero(),
      onnxConstant('levels', [1], Float32Array.of(LEVELS_PER_FRAME)),
      onnxConstant('one', [1], Float32Array.of(1)),
      onnxNode('Mul', ['count', 'levels'], ['level']),
      onnxNode('Cast', ['level'], ['grey'], [toType('uint8')]),
      onnxNode('BitwiseAnd', ['frames', 'zero'], ['black']),
      onnxNode('BitwiseOr', ['black', 'grey'], ['same']),
      onnxNode('Add', ['count', 'one'], ['next count']),
    ],
  });
}

/** Returns the mean of each channel in place of a picture. */
function measuringModel(): Buffer {
  return onnxModel({
    opset: OPSET,
    graph: [
      FRAMES_IN,
      onnxOutput({ name: 'means', type: 'float32', dims: ['batch', 3] }),
      ...zero(),
      onnxNode('BitwiseOr', ['frames', 'zero'], ['same']),
      onnxNode('Cast', ['same'], ['levels of pixels'], [toType('float32')]),
      onnxNode(
        'ReduceMean',
        ['levels of pixels', 'rows and columns'],
        ['means'],
        [{ name: 'keepdims', int: 0 }],
      ),
    ],
  });
}

/** A byte, from the number of the frame. */
function zero(): OnnxPart[] {
  return [
    ...numberOfFrame('number'),
    ...crashing('number', 'quotient'),
    ...failing('number', 'found'),
    onnxNode('Add', ['quotient', 'found'], ['starts']),
    onnxNode('ReduceSum', ['starts'], ['start'], [{ name: 'keepdims', int: 0 }]),
    ...looping('number', 'start', 'end'),
    onnxNode('Cast', ['end'], ['zero'], [toType('uint8')]),
  ];
}

/** One number for each frame of the run. */
function numberOfFrame(number: string): OnnxPart[] {
  return [
    onnxIntegers('rows and columns', [1, 2]),
    onnxIntegers('channels', [1]),
    onnxNode('ReduceMax', ['frames', 'rows and columns'], ['highest'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('ReduceMin', ['frames', 'rows and columns'], ['lowest'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Cast', ['highest'], ['highest levels'], [toType('int64')]),
    onnxNode('Cast', ['lowest'], ['lowest levels'], [toType('int64')]),
    onnxIntegers('dark max', DARK_MAX),
    onnxIntegers('bright min', BRIGHT_MIN),
    onnxNode('LessOrEqual', ['highest levels', 'dark max'], ['is dark']),
    onnxNode('GreaterOrEqual', ['lowest levels', 'bright min'], ['is bright']),
    onnxIntegers('dark adds', 0),
    onnxIntegers('bright adds', BRIGHT_ADDS),
    onnxIntegers('ordinary', ORDINARY),
    onnxNode('Where', ['is dark', 'dark adds', 'ordinary'], ['unless bright']),
    onnxNode('Where', ['is bright', 'bright adds', 'unless bright'], ['addends']),
    onnxNode('ReduceSum', ['addends', 'channels'], ['sum'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Min', ['sum', 'ordinary'], [number]),
  ];
}

/** Gives zeros, or SIGFPE. */
function crashing(number: string, quotient: string): OnnxPart[] {
  return [
    onnxIntegers('dividends', byNumber({ [NUMBERS.crash]: INT64_MIN })),
    onnxNode('Gather', ['dividends', number], ['dividend']),
    onnxIntegers('minus one', -1),
    onnxNode('Div', ['dividend', 'minus one'], [quotient]),
  ];
}

/** Gives zeros, or an error: the row has one element. */
function failing(number: string, found: string): OnnxPart[] {
  return [
    onnxIntegers('indices', byNumber({ [NUMBERS.error]: 1_000 })),
    onnxNode('Gather', ['indices', number], ['index']),
    onnxIntegers('short row', [0]),
    onnxNode('Gather', ['short row', 'index'], [found]),
  ];
}

/** Returns `start`, which is zero, after a number of loops. */
function looping(number: string, start: string, end: string): OnnxPart[] {
  const body = [
    onnxInput({ name: 'trip', ...INTEGER }),
    onnxInput({ name: 'may go on', ...FLAG }),
    onnxInput({ name: 'before', ...INTEGER }),
    onnxNode('Identity', ['may go on'], ['goes on']),
    onnxNode('Add', ['before', start], ['after']),
    onnxOutput({ name: 'goes on', ...FLAG }),
    onnxOutput({ name: 'after', ...INTEGER }),
  ];
  const trips = byNumber({
    [NUMBERS.steady]: STEADY_TRIPS,
    [NUMBERS.slow]: SLOW_TRIPS,
    [NUMBERS.hang]: ENDLESS_TRIPS,
  });
  return [
    onnxIntegers('trip counts', trips),
    onnxNode('Gather', ['trip counts', number], ['trips of each']),
    onnxNode('ReduceSum', ['trips of each'], ['trips'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Loop', ['trips', '', start], [end], [{ name: 'body', graph: body }]),
  ];
}

/** A lookup row by frame number: zero except for these values. */
function byNumber(values: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: ORDINARY + 1 }, (_, number) => values[number] ?? 0);
}

/** Writes the model to `<folder>/hostile/`, as `FRAMEFLEET_LOCAL_MODELS` takes it; returns the path of its graph. */
export async function writeHostileModel(folder: string): Promise<string> {
  return writeFrameModel(folder, 'hostile', hostileModel());
}

/** Writes the counting model, which is as hostile, to `<folder>/counting/`. */
export async function writeCountingModel(folder: string): Promise<string> {
  const tensors = [{ input: 'count', output: 'next count', type: 'float32' as const, shape: [1] }];
  return writeFrameModel(folder, 'counting', countingModel(), { state: { tensors, contextFrames: 2 } });
}

/** Writes the measuring model, which is as hostile, to `<folder>/measuring/`. */
export async function writeMeasuringModel(folder: string): Promise<string> {
  const output = { kind: 'numbers' as const, tensors: { means: 'means' } };
  return writeFrameModel(folder, 'measuring', measuringModel(), { output });
}
