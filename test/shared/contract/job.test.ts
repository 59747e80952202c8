import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { JOB_ID_PATTERN } from '../../../shared/contract/blob-names.ts';
import {
  JOB_STATES,
  type JobRequest,
  type JobState,
  type JobStatus,
  isTerminal,
  jobRequest,
  jobStatus,
  mayMove,
  newJobId,
  tooManyFailed,
} from '../../../shared/contract/job.ts';
import { anyText } from '../../support/build-text.ts';

const instants = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2099-12-31T23:59:59Z'),
  noInvalidDate: true,
});

test('whatever a source is called, its job gets an id that is one', () => {
  const sourceNames = anyText();
  fc.assert(
    fc.property(sourceNames, instants, (sourceName, now) => {
      expect(newJobId({ sourceName, now, random: '9f3a1c' })).toMatch(JOB_ID_PATTERN);
    }),
  );
});

test.each([
  ['harbour.mp4', 'harbour'],
  ['Ein Tag am Meer (2).MOV', 'ein-tag-am-meer-2'],
  ['東京.mp4', 'video'],
  ['.mp4', 'video'],
  ['', 'video'],
  ['a-very-long-name-that-is-cut-here.mp4', 'a-very-long-name-that-is'],
  ['a-very-long-name-cut-at-a-dash.mp4', 'a-very-long-name-cut-at'],
])('the job of %j is readable: when, what, and something unique', (sourceName, slug) => {
  const jobId = newJobId({ sourceName, now: new Date('2026-11-23T06:15:02.987Z'), random: '9f3a1c' });
  expect(jobId).toBe(`20261123-061502-${slug}-9f3a1c`);
});

test('jobs’ ids sort by time, to the second', () => {
  fc.assert(
    fc.property(instants, fc.integer({ min: 1000, max: 1e12 }), (now, laterMs) => {
      const later = new Date(now.getTime() + laterMs);
      expect(
        newJobId({ sourceName: 'z', now, random: 'ffffff' }) <
          newJobId({ sourceName: 'a', now: later, random: '000000' }),
      ).toBe(true);
    }),
  );
});

const REQUEST: JobRequest = {
  version: 1,
  jobId: '20261123-061502-harbour-9f3a1c',
  source: { name: 'ä/b.mp4', sizeBytes: 1, etag: '"0x8D"' },
  model: { name: 'painter', version: '1' },
  parameters: { style: 'udnie' },
  batchSize: 1,
  priority: 'normal',
  onFailedFrame: 'keep-original',
  failedFramesMax: { percent: 2.5 },
  createdAt: '2026-11-23T06:15:02.987Z',
};

test.each([
  ['a job outside its folder', { jobId: '../abc' }],
  ['a source without a name', { source: { ...REQUEST.source, name: '' } }],
  ['a name without end', { source: { ...REQUEST.source, name: 'x'.repeat(1025) } }],
  ['a source without bytes', { source: { ...REQUEST.source, sizeBytes: 0 } }],
  ['a model outside its folder', { model: { name: 'a/b' } }],
  ['a batch of nothing', { batchSize: 0 }],
  ['a batch that is too large', { batchSize: 513 }],
  ['a policy that there is not', { onFailedFrame: 'skip' }],
  ['another version', { version: 2 }],
])('a request for %s is refused', (_, fields) => {
  expect(jobRequest.parse(REQUEST)).toEqual(REQUEST);
  expect(jobRequest.safeParse({ ...REQUEST, ...fields }).success).toBe(false);
});

test('a status is valid from the first moment, when nothing is known', () => {
  const status: JobStatus = {
    version: 1,
    jobId: REQUEST.jobId,
    state: 'waiting',
    frames: { expected: 0, split: 0, scored: 0, failed: 0, stitched: 0 },
    scoringSince: null,
    updatedAt: REQUEST.createdAt,
    warnings: [],
    heldAtCap: null,
    result: null,
    error: null,
  };
  expect(jobStatus.parse(status)).toEqual(status);
  // As an earlier release wrote it.
  const { heldAtCap, ...earlier } = status;
  expect(heldAtCap).toBeNull();
  expect(jobStatus.parse(earlier)).toEqual(status);
  expect(jobStatus.safeParse({ ...status, state: 'lost' }).success).toBe(false);
});

test('a job moves on, never back, and never on from its end', () => {
  const moves = JOB_STATES.flatMap((from) =>
    JOB_STATES.filter((to) => mayMove(from, to)).map((to) => `${from} → ${to}`),
  );
  expect(moves).toEqual(['waiting → running', 'waiting → failed', 'running → completed', 'running → failed']);
  expect(JOB_STATES.filter(isTerminal)).toEqual(['completed', 'failed'] satisfies JobState[]);
});

test.each([
  { failed: 0, frameCount: 0, tooMany: false },
  { failed: 0, frameCount: 100, tooMany: false },
  { failed: 1, frameCount: 1, tooMany: true },
  { failed: 1, frameCount: 2, tooMany: false },
  { failed: 2, frameCount: 2, tooMany: true },
  { failed: 2, frameCount: 10, tooMany: true },
  { failed: 2, frameCount: 39, tooMany: true },
  { failed: 2, frameCount: 40, tooMany: false },
  { failed: 5, frameCount: 100, tooMany: false },
  { failed: 6, frameCount: 100, tooMany: true },
  { failed: 1, frameCount: 0, tooMany: true },
])('$failed failed frames of $frameCount: too many is $tooMany', ({ tooMany, ...frames }) => {
  expect(tooManyFailed(frames)).toBe(tooMany);
});

test.each([
  { failed: 0, max: { frames: 0 }, tooMany: false },
  { failed: 1, max: { frames: 0 }, tooMany: true },
  { failed: 12, max: { frames: 12 }, tooMany: false },
  { failed: 13, max: { frames: 12 }, tooMany: true },
  { failed: 29, max: { percent: 29 }, tooMany: false },
  { failed: 30, max: { percent: 29 }, tooMany: true },
  { failed: 1, max: { percent: 0 }, tooMany: true },
  { failed: 100, max: { percent: 100 }, tooMany: false },
])('$failed failed frames of 100, where $max are allowed: too many is $tooMany', ({ tooMany, ...frames }) => {
  expect(tooManyFailed({ ...frames, frameCount: 100 })).toBe(tooMany);
});
