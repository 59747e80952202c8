import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  type SplitOfJob,
  contactSheetBlob,
  failedFrameBlob,
  failedFrameIndexOf,
  firstFrameOfPiece,
  frameImageBlob,
  framesOfSegment,
  framesPrefix,
  heartbeatBlob,
  isFrameImage,
  frameOfPreview,
  jobIdOfTrigger,
  jobPrefix,
  modelBlob,
  pieceBlob,
  planBlob,
  previewBlob,
  reportBlob,
  resultBlob,
  resultFrameBlob,
  safeSourceName,
  segmentBlob,
  sourceBlob,
  splitPrefix,
  statusBlob,
  timelineBlob,
  triggerBlob,
} from '../../../shared/contract/blob-names.ts';
import {
  BATCH_FRAMES_MAX,
  FRAMES_MAX,
  SOURCE_NAME_BYTES_MAX,
  SPLITS_MAX,
} from '../../../shared/contract/limits.ts';
import { firstSplit } from '../../support/build-job.ts';
import { anyText } from '../../support/build-text.ts';

const JOB = '20261123-061502-harbour-9f3a1c';
const SPLIT = firstSplit(JOB);
const NUT = { container: 'nut' } as const;
const frameIndices = fc.integer({ min: 0, max: FRAMES_MAX - 1 });
const frameRanges = fc
  .tuple(frameIndices, fc.integer({ min: 1, max: BATCH_FRAMES_MAX }))
  .map(([start, count]) => [start, Math.min(FRAMES_MAX, start + count)] as const);
const hostileTexts = fc.oneof(
  anyText(),
  fc
    .array(
      fc.oneof(
        anyText({ maxLength: 2 }),
        fc.constantFrom('../', '..\\', '/', '\\', '.', ' ', '\0', '\r\n', '\u0085', '%2e%2e%2f', 'job.json'),
        fc.constantFrom('status.json', '👩‍👩‍👧', 'e\u0301', 'x'.repeat(600), '東'.repeat(300)),
      ),
      { maxLength: 6 },
    )
    .map((pieces) => pieces.join('')),
);
/** All functions that make a name from a split. */
const namesIn = (split: SplitOfJob): (() => string)[] => [
  () => splitPrefix(split),
  () => planBlob(split),
  () => timelineBlob(split),
  () => pieceBlob(split, 7, NUT),
  () => segmentBlob(split, [7, 9]),
  () => previewBlob(split, 7),
  () => frameImageBlob(split, 7, 'png'),
  () => failedFrameBlob(split, 7),
  () => framesPrefix(split, [7, 9]),
];
/** All functions that make a name from a job id. */
const namesOf = (jobId: string): (() => string)[] => [
  ...namesIn(firstSplit(jobId)),
  () => triggerBlob(jobId),
  () => sourceBlob(jobId, 'a.mp4'),
  () => statusBlob(jobId),
  () => reportBlob(jobId),
  () => resultBlob(jobId, 'a.mp4'),
  () => contactSheetBlob(jobId),
  () => resultFrameBlob(jobId, '00000007.png'),
  () => jobPrefix(jobId),
];

test('a name of a piece, a segment or a failure record gives its frames back, and is no name of the others', () => {
  fc.assert(
    fc.property(frameRanges, (frames) => {
      const [first] = frames;
      const pieces = (['nut', 'matroska'] as const).map((container) =>
        pieceBlob(SPLIT, first, { container }),
      );
      const [segment, record] = [segmentBlob(SPLIT, frames), failedFrameBlob(SPLIT, first)];
      expect(pieces.map(firstFrameOfPiece)).toEqual([first, first]);
      expect(framesOfSegment(segment)).toEqual(frames);
      expect(failedFrameIndexOf(record)).toBe(first);
      for (const other of [segment, record]) expect(firstFrameOfPiece(other)).toBeUndefined();
      for (const other of [...pieces, record]) expect(framesOfSegment(other)).toBeUndefined();
      for (const other of [...pieces, segment]) expect(failedFrameIndexOf(other)).toBeUndefined();
    }),
  );
});

test('a preview and an image of a frame are told apart, and from everything else in a split', () => {
  const images = (['jpg', 'png'] as const).map((format) => frameImageBlob(SPLIT, 7, format));
  const preview = previewBlob(SPLIT, 7);
  const pictures = [...images, preview];
  expect(pictures.map(isFrameImage)).toEqual([true, true, false]);
  expect(pictures.map(frameOfPreview)).toEqual([undefined, undefined, 7]);
  for (const name of namesIn(SPLIT)
    .map((named) => named())
    .filter((one) => !pictures.includes(one)))
    expect([isFrameImage(name), frameOfPreview(name) !== undefined]).toEqual([false, false]);
});

test.each([
  `${JOB}/1/timeline.json`,
  previewBlob(SPLIT, 7),
  `${JOB}/1/plan.json`,
  `${JOB}/1/7.nut`,
  `${JOB}/1/00000007.jpg`,
  `${JOB}/1/00000007-00000003.mp4`,
  `${JOB}/1/00000007-9.mp4`,
  `${JOB}/1/x00000007-00000009.mp4`,
])('%s names no piece, no segment and no failure record', (name) => {
  expect([firstFrameOfPiece(name), framesOfSegment(name), failedFrameIndexOf(name)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('pieces and segments have the names that storage is listed by', () => {
  const second = { jobId: JOB, splitNumber: 2 };
  expect(pieceBlob(second, 64, NUT)).toBe(`${JOB}/2/00000064.nut`);
  expect(pieceBlob(second, 64, { container: 'matroska' })).toBe(`${JOB}/2/00000064.mkv`);
  expect(segmentBlob(second, [64, 128])).toBe(`${JOB}/2/00000064-00000127.mp4`);
  expect(failedFrameBlob(second, 64)).toBe(`${JOB}/2/00000064.failed.json`);
});

test('pieces, segments and failure records sort in the order of their frames', () => {
  fc.assert(
    fc.property(frameIndices, frameIndices, (a, b) => {
      const namesAt = (first: number): string[] => [
        pieceBlob(SPLIT, first, NUT),
        segmentBlob(SPLIT, [first, Math.min(FRAMES_MAX, first + 4)]),
        failedFrameBlob(SPLIT, first),
      ];
      fc.pre(a !== b);
      for (const one of namesAt(a)) for (const other of namesAt(b)) expect(one < other).toBe(a < b);
    }),
  );
});

test.each([-1, 0.5, Number.NaN, Infinity, FRAMES_MAX])(
  'every function that makes a name of a frame throws for the index %d',
  (frameIndex) => {
    expect(() => pieceBlob(SPLIT, frameIndex, NUT)).toThrow(RangeError);
    expect(() => failedFrameBlob(SPLIT, frameIndex)).toThrow(RangeError);
    expect(() => previewBlob(SPLIT, frameIndex)).toThrow(RangeError);
    expect(() => frameImageBlob(SPLIT, frameIndex, 'jpg')).toThrow(RangeError);
    expect(() => segmentBlob(SPLIT, [frameIndex, frameIndex + 1])).toThrow(RangeError);
  },
);

test.each([0, -1, 1.5, Number.NaN, SPLITS_MAX + 1])(
  'every function that makes a name in a split throws for split %d',
  (splitNumber) => {
    for (const name of namesIn({ jobId: JOB, splitNumber })) expect(name).toThrow(RangeError);
  },
);

test('every name in a split is in the folder of that split', () => {
  for (let splitNumber = 1; splitNumber <= SPLITS_MAX; splitNumber += 1)
    for (const name of namesIn({ jobId: JOB, splitNumber }))
      expect(name().startsWith(`${JOB}/${splitNumber}/`)).toBe(true);
});

test('framesPrefix is the longest prefix that all segments and failure records of a range share', () => {
  fc.assert(
    fc.property(frameRanges, fc.nat(), ([frameStart, frameEnd], pick) => {
      const prefix = framesPrefix(SPLIT, [frameStart, frameEnd]);
      const [first, last] = [failedFrameBlob(SPLIT, frameStart), failedFrameBlob(SPLIT, frameEnd - 1)];
      const picked = frameStart + (pick % (frameEnd - frameStart));
      expect(failedFrameBlob(SPLIT, picked).startsWith(prefix)).toBe(true);
      expect(segmentBlob(SPLIT, [picked, frameEnd]).startsWith(prefix)).toBe(true);
      expect(first.startsWith(prefix) && last.startsWith(prefix)).toBe(true);
      const digit = prefix.length;
      expect(first.slice(0, -'.failed.json'.length) === prefix || first[digit] !== last[digit]).toBe(true);
    }),
  );
  expect(framesPrefix(SPLIT, [41, 42])).toBe(`${JOB}/1/00000041`);
  expect(framesPrefix(SPLIT, [9_999_999, 10_000_001])).toBe(`${JOB}/1/`);
});

test('sourceBlob stays in the folder of its job for any source name', () => {
  const own = [triggerBlob(JOB), statusBlob(JOB), reportBlob(JOB)];
  fc.assert(
    fc.property(hostileTexts, (sourceName) => {
      for (const blobName of [sourceBlob(JOB, sourceName), resultBlob(JOB, sourceName)]) {
        const [folder, name = '', ...deeper] = blobName.split('/');
        expect([folder, deeper]).toEqual([JOB, []]);
        expect(name).toMatch(/^[^\p{Cc}\\?#%]*[^\p{Cc}\\?#%. ]$/u);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(SOURCE_NAME_BYTES_MAX + 'source-'.length);
        expect(blobName.length).toBeLessThanOrEqual(1024);
        expect(own).not.toContain(blobName);
      }
    }),
  );
});

test.each([
  ['keeps letters of any script', 'Čtení – 東京 (1).mp4', 'Čtení – 東京 (1).mp4'],
  ['turns a path into one name', '../../etc/passwd', '.._.._etc_passwd'],
  ['makes a name from an empty one', '', 'source-'],
  ['avoids reserved names', 'job.json', 'source-job.json'],
  ['replaces trailing dots', 'a. .', 'a_'],
])('safeSourceName %s', (_, given, expected) => {
  expect(safeSourceName(given)).toBe(expected);
});

test('a long name is shortened in the middle, so that its ends stay', () => {
  expect(safeSourceName(`Akt-${'ü'.repeat(500)}.mp4`)).toMatch(/^Akt-ü{96}\.mp4$/);
});

test('every function that makes a name throws for an invalid job id', () => {
  expect(jobPrefix('abc')).toBe('abc/');
  const bad = ['', 'ab', 'drop', '..', 'Abc', 'a--b', '-abc', 'abc-', 'abc.', 'a/b', 'a\\b', 'abc\n', 'äbc'];
  for (const jobId of bad) for (const name of namesOf(jobId)) expect(name).toThrow(RangeError);
  fc.assert(
    fc.property(hostileTexts, (jobId) => {
      fc.pre(!/^[a-z0-9-]+$/.test(jobId));
      for (const name of namesOf(jobId)) expect(name).toThrow(RangeError);
    }),
  );
});

test('jobIdOfTrigger returns the job of a trigger, and undefined for any other name', () => {
  expect(jobIdOfTrigger(triggerBlob(JOB))).toBe(JOB);
  const others = ['drop/job.json', 'ab/job.json', '../job.json', '/job.json', `x/${JOB}/job.json`];
  others.push(
    `${JOB}/job.json/x`,
    `${JOB}/Job.json`,
    `${JOB}/a.mp4`,
    `${JOB}/job.json\n`,
    'job.json',
    JOB,
    '',
  );
  for (const name of others) expect(jobIdOfTrigger(name)).toBeUndefined();
});

test.each(['', '..', '.hidden', 'a/b', 'a\\b', 'A', 'a\n', 'x'.repeat(64)])(
  'modelBlob and heartbeatBlob throw for the name %j',
  (name) => {
    expect(() => modelBlob({ name, version: '1' }, 'model.json')).toThrow(RangeError);
    expect(() => modelBlob({ name: 'painter', version: name }, 'model.onnx')).toThrow(RangeError);
    expect(() => heartbeatBlob(name)).toThrow(RangeError);
  },
);
