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
  hasTooManyFailed,
} from '../../../shared/contract/job.ts';
import { anyText } from '../../support/build-text.ts';

const instants = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2099-12-31T23:59:59Z'),
  noInvalidDate: true,
});

test('newJobId returns a valid id for any source name', () => {
  const sourceNames = anyText();
  fc.assert(
    fc.property(sourceNames, instants, (sourceName, now) => {
      expect(newJobId(sourceName, now, '9f3a1c')).toMatch(JOB_ID_PATTERN);
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
])('the job id of %j contains the time, the name and a unique part', (sourceName, slug) => {
  const jobId = newJobId(sourceName, new Date('2026-11-23T06:15:02.987Z'), '9f3a1c');
  expect(jobId).toBe(`20261123-061502-${slug}-9f3a1c`);
});

test('job ids sort by time, to the second', () => {
  fc.assert(
    fc.property(instants, fc.integer({ min: 1000, max: 1e12 }), (now, laterMs) => {
      const later = new Date(now.getTime() + laterMs);
      expect(newJobId('z', now, 'ffffff') < newJobId('a', later, '000000')).toBe(true);
    }),
  );
});

const REQUEST: JobRequest = {
  version: 1,
  jobId: '20261123-061502-harbour-9f3a1c',
  source: { name: 'ä/b.mp4', sizeBytes: 1, etag: '"0x8D"' },
  model: { name: 'painter', version: '1' },
  parameters: { style: 'candy' },
  batchSize: 1,
  priority: 'normal',
  onFailedFrame: 'keep-original',
  failedFramesMax: { percent: 2.5 },
  createdAt: '2026-11-23T06:15:02.987Z',
};

test.each([
  ['with an invalid job id', { jobId: '../abc' }],
  ['with an empty source name', { source: { ...REQUEST.source, name: '' } }],
  ['with a source name that is too long', { source: { ...REQUEST.source, name: 'x'.repeat(1025) } }],
  ['with an empty source', { source: { ...REQUEST.source, sizeBytes: 0 } }],
  ['with an invalid model name', { model: { name: 'a/b' } }],
  ['with a batch size of 0', { batchSize: 0 }],
  ['with a batch size above the maximum', { batchSize: 513 }],
  ['with an unknown policy for failed frames', { onFailedFrame: 'skip' }],
  ['of another version', { version: 2 }],
])('a request %s is rejected', (_, fields) => {
  expect(jobRequest.parse(REQUEST)).toEqual(REQUEST);
  expect(jobRequest.safeParse({ ...REQUEST, ...fields }).success).toBe(false);
});

test('a status is valid before anything about the job is known', () => {
  const status: JobStatus = {
    version: 1,
    jobId: REQUEST.jobId,
    state: 'waiting',
    frames: { expected: 0, split: 0, scored: 0, failed: 0, underway: 0, stitched: 0 },
    pace: null,
    scoringSince: null,
    updatedAt: REQUEST.createdAt,
    warnings: [],
    heldAtCap: null,
    pausedSince: null,
    spent: 0,
    result: null,
    error: null,
  };
  expect(jobStatus.parse(status)).toEqual(status);
  // The form that an earlier release wrote.
  const { heldAtCap, pausedSince, spent, ...before } = status;
  expect([pausedSince, spent]).toEqual([null, 0]);
  expect(heldAtCap).toBeNull();
  const { underway, ...frames } = before.frames;
  expect(underway).toBe(0);
  const earlier = { ...before, frames };
  expect(jobStatus.parse(earlier)).toEqual(status);
  expect(jobStatus.safeParse({ ...status, state: 'lost' }).success).toBe(false);
});

test('a job moves only forward, and never leaves a terminal state', () => {
  const moves = JOB_STATES.flatMap((from) =>
    JOB_STATES.filter((to) => mayMove(from, to)).map((to) => `${from} → ${to}`),
  );
  expect(moves).toEqual([
    'waiting → running',
    'waiting → failed',
    'waiting → cancelled',
    'running → completed',
    'running → failed',
    'running → cancelled',
  ]);
  expect(JOB_STATES.filter(isTerminal)).toEqual(['completed', 'failed', 'cancelled'] satisfies JobState[]);
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
])('hasTooManyFailed is $tooMany for $failed failed frames of $frameCount', ({ tooMany, ...frames }) => {
  expect(hasTooManyFailed(frames)).toBe(tooMany);
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
])(
  'hasTooManyFailed is $tooMany for $failed failed frames of 100 with the limit $max',
  ({ tooMany, ...frames }) => {
    expect(hasTooManyFailed({ ...frames, frameCount: 100 })).toBe(tooMany);
  },
);
