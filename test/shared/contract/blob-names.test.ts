import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  failedFrameBlob,
  frameBlob,
  frameIndexOf,
  framesPrefix,
  heartbeatBlob,
  jobIdOfTrigger,
  jobPrefix,
  modelBlob,
  reportBlob,
  resultBlob,
  safeSourceName,
  scoredBlob,
  sourceBlob,
  statusBlob,
  timelineBlob,
  triggerBlob,
} from '../../../shared/contract/blob-names.ts';
import { FRAMES_MAX, SOURCE_NAME_BYTES_MAX } from '../../../shared/contract/limits.ts';
import { anyText } from '../../support/build-text.ts';

const JOB = '20261123-061502-harbour-9f3a1c';
const frameIndices = fc.integer({ min: 0, max: FRAMES_MAX - 1 });
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
/** All functions that make a name from a job id. */
const namesOf = (jobId: string): (() => string)[] => [
  () => frameBlob(jobId, 7),
  () => scoredBlob(jobId, 7, 'json'),
  () => failedFrameBlob(jobId, 7),
  () => framesPrefix(jobId, 7, 9),
  () => timelineBlob(jobId),
  () => triggerBlob(jobId),
  () => sourceBlob(jobId, 'a.mp4'),
  () => statusBlob(jobId),
  () => reportBlob(jobId),
  () => resultBlob(jobId, 'a.mp4'),
  () => jobPrefix(jobId),
];

test('frameIndexOf returns the index of an original and of a scored frame', () => {
  fc.assert(
    fc.property(frameIndices, (frameIndex) => {
      expect(frameIndexOf(frameBlob(JOB, frameIndex))).toBe(frameIndex);
      expect(frameIndexOf(scoredBlob(JOB, frameIndex))).toBe(frameIndex);
      expect(frameIndexOf(scoredBlob(JOB, frameIndex, 'json'))).toBe(frameIndex);
      expect(frameIndexOf(failedFrameBlob(JOB, frameIndex))).toBeUndefined();
    }),
  );
  expect(frameIndexOf(timelineBlob(JOB))).toBeUndefined();
  expect(frameIndexOf(`${JOB}/7.jpg`)).toBeUndefined();
});

test('frame names sort in the order of their indices', () => {
  fc.assert(
    fc.property(frameIndices, frameIndices, (a, b) => {
      expect(frameBlob(JOB, a) < frameBlob(JOB, b)).toBe(a < b);
    }),
  );
});

test.each([-1, 0.5, Number.NaN, Infinity, FRAMES_MAX])('frameBlob throws for the index %d', (frameIndex) => {
  expect(() => frameBlob(JOB, frameIndex)).toThrow(RangeError);
  expect(() => failedFrameBlob(JOB, frameIndex)).toThrow(RangeError);
});

test('framesPrefix is the longest prefix that all frames of a range share', () => {
  fc.assert(
    fc.property(frameIndices, fc.integer({ min: 1, max: 512 }), fc.nat(), (frameStart, count, pick) => {
      const frameEnd = Math.min(FRAMES_MAX, frameStart + count);
      const prefix = framesPrefix(JOB, frameStart, frameEnd);
      const [first, last] = [frameBlob(JOB, frameStart), frameBlob(JOB, frameEnd - 1)];
      expect(frameBlob(JOB, frameStart + (pick % (frameEnd - frameStart))).startsWith(prefix)).toBe(true);
      expect(first.startsWith(prefix) && last.startsWith(prefix)).toBe(true);
      expect(first === last || first[prefix.length] !== last[prefix.length]).toBe(true);
    }),
  );
  expect(framesPrefix(JOB, 41, 42)).toBe(`${JOB}/00000041`);
  expect(framesPrefix(JOB, 9_999_999, 10_000_001)).toBe(`${JOB}/`);
});

test('sourceBlob stays in the folder of its job for any source name', () => {
  const own = [triggerBlob(JOB), statusBlob(JOB), reportBlob(JOB), timelineBlob(JOB)];
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
