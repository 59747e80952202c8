/**
 * A model that does what a frame asks of it. It gives back the frame it takes; but it kills its process for a black one, fails
 * for a red one, takes its time for a green one, more for a blue one, and never ends for a white one. The graph itself decides, from the pixels: nobody knows
 * beforehand, the real runtime does the real thing, and the frame does it again every time.
 *
 * Colours are told apart with room to spare, because a JPEG changes plain ones by a level or two (red comes back as 254, 0, 0).
 * The crash is a division that x86-64 traps; arm64 does not.
 */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import {
  type OnnxPart,
  onnxInput,
  onnxIntegers,
  onnxModel,
  onnxNode,
  onnxOutput,
  toType,
} from './onnx-writer.ts';

/** BitwiseOr, the one operator that can take uint8 pixels and change nothing, came with 18. */
const OPSET = 18;

/** Plain colours: a frame of one of them, all over. */
export const HOSTILE_FRAMES = {
  /** The process dies of SIGFPE. */
  crash: { r: 0, g: 0, b: 0 },
  /** The run throws: an index is out of bounds. */
  error: { r: 255, g: 0, b: 0 },
  /** One to two seconds on a core of 2025, whatever the size. */
  slow: { r: 0, g: 0, b: 255 },
  /** A tenth of a second: for batches that are to be disturbed in their middle. */
  steady: { r: 0, g: 255, b: 0 },
  /** Some 300 years, in no more memory than any other. */
  hang: { r: 255, g: 255, b: 255 },
  ordinary: { r: 64, g: 128, b: 192 },
} as const;

/** A channel is dark when all its pixels are up to here, and bright when all are from there. */
const DARK_MAX = 15;
const BRIGHT_MIN = 240;
/** What a channel adds to the frame's number when it is bright. Dark adds nothing, and anything else makes the frame ordinary. */
const BRIGHT_ADDS = [1, 2, 4];
const ORDINARY = 8;
const NUMBERS = { crash: 0, error: 1, steady: 2, slow: 4, hang: 7 } as const;

/** Minus this is more than int64 holds, and the runtime looks only for divisors that are zero. */
const INT64_MIN = -(2 ** 63);
const STEADY_TRIPS = 100_000;
const SLOW_TRIPS = 1_500_000;
const ENDLESS_TRIPS = Number.MAX_SAFE_INTEGER;

const INTEGER = { type: 'int64', dims: [] } as const;
const FLAG = { type: 'bool', dims: [] } as const;

/** Gives back the frame, combined with a zero that no optimiser can know: it comes out of all that was asked for. */
function hostileModel(): Buffer {
  const graph = [
    FRAMES_IN,
    FRAMES_OUT,
    ...numberOfFrame('number'),
    ...crashing('number', 'quotient'),
    ...failing('number', 'found'),
    onnxNode('Add', ['quotient', 'found'], ['start']),
    ...looping('number', 'start', 'end'),
    onnxNode('Cast', ['end'], ['zero'], [toType('uint8')]),
    onnxNode('BitwiseOr', ['frames', 'zero'], ['same']),
  ];
  return onnxModel({ opset: OPSET, graph });
}

function numberOfFrame(number: string): OnnxPart[] {
  return [
    onnxIntegers('all but channels', [0, 1, 2]),
    onnxNode('ReduceMax', ['frames', 'all but channels'], ['highest'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('ReduceMin', ['frames', 'all but channels'], ['lowest'], [{ name: 'keepdims', int: 0 }]),
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
    onnxNode('ReduceSum', ['addends'], ['sum'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Min', ['sum', 'ordinary'], [number]),
  ];
}

/** Zero, or SIGFPE. */
function crashing(number: string, quotient: string): OnnxPart[] {
  return [
    onnxIntegers('dividends', byNumber({ [NUMBERS.crash]: INT64_MIN })),
    onnxNode('Gather', ['dividends', number], ['dividend']),
    onnxIntegers('minus one', -1),
    onnxNode('Div', ['dividend', 'minus one'], [quotient]),
  ];
}

/** Zero, or an error: the row has one element. */
function failing(number: string, found: string): OnnxPart[] {
  return [
    onnxIntegers('indices', byNumber({ [NUMBERS.error]: 1_000 })),
    onnxNode('Gather', ['indices', number], ['index']),
    onnxIntegers('short row', [0]),
    onnxNode('Gather', ['short row', 'index'], [found]),
  ];
}

/** `start`, which is zero, sooner or later. */
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
    onnxNode('Gather', ['trip counts', number], ['trips']),
    onnxNode('Loop', ['trips', '', start], [end], [{ name: 'body', graph: body }]),
  ];
}

/** A row to look frames' numbers up in: zero but for these. */
function byNumber(values: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: ORDINARY + 1 }, (_, number) => values[number] ?? 0);
}

/** Puts the model into `<folder>/hostile/`, as `FRAMEFLEET_LOCAL_MODELS` takes it; returns the path of its graph. */
export async function writeHostileModel(folder: string): Promise<string> {
  return writeFrameModel({ folder, name: 'hostile', model: hostileModel() });
}
