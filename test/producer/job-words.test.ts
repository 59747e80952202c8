import { expect, test } from 'vitest';

import { stateText, waitsFor } from '../../producer/control/job-words.ts';
import { statusBeforeWork } from '../../producer/jobs/status.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import { buildRequest } from '../support/build-job.ts';
import { buildReport } from '../support/scaler-tick.ts';

const AT = '2026-11-23T06:15:00.000Z';

function view(frames: Partial<JobStatus['frames']>) {
  const before = statusBeforeWork('job-1', AT);
  const status: JobStatus = {
    ...before,
    state: 'running',
    frames: { ...before.frames, expected: 100, ...frames },
  };
  return { jobId: 'job-1', request: buildRequest('job-1'), priority: 'normal', status } as const;
}

const worker = (jobId: string | null) =>
  buildReport('vm-0', { state: jobId === null ? 'idle' : 'busy', jobId }).beat;

test.each([
  ['splitting', {}],
  ['scoring', { split: 1 }],
  ['scoring', { split: 100, scored: 99 }],
  ['joining', { split: 100, scored: 98, failed: 2 }],
] as const)('a running job is %s with frames %j', (text, frames) => {
  expect(stateText(view(frames))).toBe(text);
});

test('a job waits for a worker while all are busy with other jobs, and not while one has its batch', () => {
  const scored = { split: 100, scored: 50 };
  const others = waitsFor(view(scored), [worker('job-2'), worker('job-3')]);
  expect(others?.reason).toBe('It waits for a worker: 2 of 2 workers are busy with other jobs.');
  expect(waitsFor(view(scored), [worker('job-2'), worker('job-1')])).toBeUndefined();
  const oneIdle = waitsFor(view(scored), [worker('job-2'), worker(null)]);
  expect(oneIdle?.reason).toBe('It waits for a worker: 1 of 2 workers are busy with other jobs.');
  expect(waitsFor(view(scored), [worker(null)])).toEqual({
    reason: 'It waits for a worker to take its next batch.',
  });
  expect(waitsFor(view({ ...scored, underway: 1 }), [worker('job-2')])).toBeUndefined();
});

test('before its first batch a job waits for its split, and without workers for a machine', () => {
  expect(waitsFor(view({}), [worker(null)])?.reason).toBe('Its source is being split.');
  expect(waitsFor(view({}), [])).toMatchObject({ next: 'To see why: npm run explain' });
});
