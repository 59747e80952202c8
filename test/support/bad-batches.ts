/**
 * Batches with one mistake in their JSON: a field that is missing, has another type, is out of bounds, or points outside its job.
 * PURE.
 *
 * None of them is valid, and none has a newer version.
 */
import type { BatchMessage } from '../../shared/contract/messages.ts';

export interface BadBatch {
  /** `<field>: <value>`, cut to one line. */
  readonly name: string;
  readonly json: unknown;
}

/** Values that no field accepts, including names of an object's prototype. */
const NEVER: readonly unknown[] = [
  true,
  [[]],
  nested(1_000),
  JSON.parse('{"__proto__":{"version":1,"jobId":"job-1"}}'),
  { toString: 'x', constructor: { prototype: {} } },
];
const NO_COUNT = [...NEVER, null, '', '3', 'NaN', '-Infinity', '1e3', -1, 0.5, 2 ** 53, 1e300, {}];
const NO_FRAME = [...NO_COUNT, 10 ** 8 + 1, 2 ** 32];
const WAYS_OUT = ['..', '../x', 'a/b', 'a\\b', 'a%2fb', 'job-1/../job-2', 'job-1?x'];
const ODD_NAMES = ['', '.', '.hidden', 'a b', 'Ä', '作业', '😀', '__proto__', 'UPPER', 'a\u0000', 'a\n'];
const LONG_NAMES = ['x'.repeat(64), 'x'.repeat(20_000)];
const NO_NAME = [...NEVER, 7, {}, ...WAYS_OUT, ...ODD_NAMES, ...LONG_NAMES];
const NO_JOB = [...NO_NAME, null, 'drop', 'ab', 'a--b', '-ab', 'ab-', 'job_1'];
const NO_RANGE = [null, [], [5], [5, 5], [6, 5], [-1, 1], [0.5, 2], ['0', '1'], [0, 1, 2], 3];
const TOO_MUCH = [[[0, 99_999_999]], [[0, 1e308]], [[0, 513]]];
const TOO_MANY = Array.from({ length: 513 }, (_, index) => [2 * index, 2 * index + 1]);
const NO_FRAMES = [...NEVER, null, 'all', {}, [], ...NO_RANGE.map((range) => [range]), ...TOO_MUCH, TOO_MANY];
/** A valid entry of a history. */
const FAILURE = { kind: 'inference', attempts: 1, worker: 'vm-1-0', frames: [[3, 4]] };

/** Values for the word that names a thing to ffmpeg: options, filters and files among them. */
const NO_WORD = [
  ...NEVER,
  null,
  7,
  '',
  'H264',
  'a b',
  'h264 -i x',
  'bt709,movie=x',
  '../x',
  'a\n',
  'x'.repeat(33),
];
const NO_RATIO = [...NEVER, null, '1', 0, -1, 0.5, 65_536];
const NO_PIECES = [...NEVER, null, 'all', {}, [], ...NO_RANGE.map((range) => [range]), [[0, 1e308]]];

const FIELDS: readonly (readonly [path: string, values: readonly unknown[]])[] = [
  ['version', [...NEVER, null, '', '2', 'NaN', 0, 1, -1, 1.5, 1e300, [2], { v: 2 }]],
  ['jobId', NO_JOB],
  ['batchIndex', NO_COUNT],
  ['frameStart', NO_FRAME],
  ['frameEnd', NO_FRAME],
  ['epoch', [...NO_COUNT, '2026-11-23T06:15:02Z']],
  ['model', [...NEVER, null, 'painter/1', 7, {}]],
  ['model.name', [...NO_NAME, null]],
  ['model.version', [...NO_NAME, null, 1]],
  ['model.sha256', [...NEVER, null, '', 'a'.repeat(63), 'a'.repeat(65), 'A'.repeat(64), 'g'.repeat(64)]],
  ['parameters', [true, [], [[]], null, 'style', 7, { style: 7 }, { style: null }, { style: nested(1_000) }]],
  ['parameters', [{ '': 'x' }, { '../x': 'y' }, { Style: 'x' }, { style: 'x'.repeat(201) }, { 作: 'x' }]],
  ['splitNumber', [...NO_COUNT, 0, 3]],
  ['pieces', [...NO_PIECES, Array.from({ length: 578 }, (_, index) => [index, index + 1])]],
  ['pieceFormat', [...NEVER, null, 'nut', 7, {}]],
  ['pieceFormat.container', [...NEVER, null, '', 'NUT', 'mp4', 'concat', 'hls', 'matroska,webm']],
  ['pieceFormat.codec', NO_WORD],
  ['pieceFormat.width', [...NO_COUNT, 0, 65_536]],
  ['pieceFormat.height', [...NO_COUNT, 0, 65_536]],
  ['pieceFormat.colour', [...NEVER, 'bt709', 7, {}]],
  ['pieceFormat.colour.matrix', NO_WORD],
  ['pieceFormat.colour.range', [...NEVER, null, '', 'pc', 'limited', 7]],
  ['segmentFrames', [...NO_COUNT, 0, 513]],
  ['contextFrames', [...NO_COUNT, 65]],
  ['picture', [...NEVER, null, '25', 7, {}]],
  ['picture.framesPerSecond', [...NEVER, null, '25', 'NaN', 0, -1, 1e6 + 1, {}]],
  ['picture.sampleAspectRatio', [...NEVER, null, '1:1', 1, {}]],
  ['picture.sampleAspectRatio.numerator', NO_RATIO],
  ['picture.sampleAspectRatio.denominator', NO_RATIO],
  ['picture.colour', [...NEVER, null, 'bt709', {}]],
  ['picture.colour.matrix', NO_WORD],
  ['picture.colour.range', [...NEVER, null, '', 'pc', 'limited', 7]],
  ['picture.colour.primaries', NO_WORD],
  ['picture.colour.transfer', NO_WORD],
  ['encoding', [...NEVER, null, 'h264', 18, {}]],
  ['encoding.codec', [...NEVER, null, '', 'H264', 'libx264', 'copy', '../h264', 7]],
  ['encoding.crf', [...NEVER, '', '18', -1, 0.5, 52, {}]],
  ['encoding.preset', [...NEVER, null, '', 'placebo', 'medium -i x', 7]],
  ['encoding.encoder', [...NEVER, null, '', 'libx264', 'gpu', 7]],
  ['frameImages', [...NEVER, '', 'gif', 'JPG', '../jpg', ['jpg'], 1]],
  ['onFailedFrame', [...NEVER, null, '', 'ignore', 'keep original', 7]],
  ['history', [...NEVER, null, 'none', 0, {}]],
  ['history.releases', NO_COUNT],
  ['history.deliveries', NO_COUNT],
  ['history.resolved', NO_COUNT],
  ['history.barren', NO_COUNT],
  ['history.carefulFrame', NO_FRAME.filter((value) => value !== null)],
  ['history.passedOnBy', NO_NAME],
  ['history.refusedBy', [...NEVER, null, 'vm-1', {}, [7], ['../x'], Array.from({ length: 9 }, () => 'vm-1')]],
  [
    'history.failures',
    [...NEVER, null, 'none', 0, {}, [null], [{}], Array.from({ length: 65 }, () => FAILURE)],
  ],
];

/** A batch without one of them is valid. */
const OPTIONAL: ReadonlySet<string> = new Set(['contextFrames', 'history.refusedBy']);

/** The same for an entry of `history.failures`. */
const FAILURE_FIELDS: readonly (readonly [path: string, values: readonly unknown[]])[] = [
  ['kind', [...NEVER, null, '', 'cosmic', '__proto__', 'toString', 3]],
  ['attempts', NO_COUNT],
  ['worker', [...NO_NAME, null]],
  ['frames', NO_FRAMES],
];

export function badBatches(batch: BatchMessage): BadBatch[] {
  const { frameStart } = batch;
  const mutants = FIELDS.flatMap(([path, values]) => wrongAt(batch, path, values));
  const failures = FAILURE_FIELDS.flatMap(([path, values]) =>
    wrongAt(FAILURE, path, values).map(({ name, json }) => {
      return { name: `history.failures.${name}`, json: withField(batch, ['history', 'failures'], [json]) };
    }),
  );
  const frames = [frameStart, frameStart - 1, frameStart + 513, 0].map((frameEnd) => {
    return { name: `frameEnd: ${frameEnd} from ${frameStart}`, json: { ...batch, frameEnd } };
  });
  return [...mutants, ...failures, ...frames];
}

/** Copies with each of the values in the field, and one without the field. */
function wrongAt(whole: object, path: string, values: readonly unknown[]): BadBatch[] {
  const all = OPTIONAL.has(path) ? values : [undefined, ...values];
  return all.map((value) => ({
    name: `${path}: ${(JSON.stringify(value) ?? 'missing').slice(0, 60)}`,
    json: withField(whole, path.split('.'), value),
  }));
}

function withField(whole: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const fields: Record<string, unknown> = { ...(whole as Record<string, unknown>) };
  return { ...fields, [key]: withField(fields[key], rest, value) };
}

/** An array nested this many levels deep. */
function nested(levels: number): unknown {
  let inner: unknown = [];
  for (let level = 1; level < levels; level += 1) inner = [inner];
  return inner;
}
