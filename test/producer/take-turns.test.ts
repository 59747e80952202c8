import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type TurnCandidate, nextInTurn, windowSize } from '../../producer/jobs/take-turns.ts';
import { PRIORITIES } from '../../shared/contract/job.ts';

function job(jobId: string, fields: Partial<TurnCandidate> = {}): TurnCandidate {
  return { jobId, priority: 'normal', batchesReady: 1, lastDispatchedAt: 0, ...fields };
}

/** Sends one batch per millisecond. Returns the job id of each batch. */
function sendAll(jobs: readonly TurnCandidate[], sendsMax = Infinity): string[] {
  const waiting = new Map(jobs.map((one) => [one.jobId, one]));
  const sent: string[] = [];
  while (sent.length < sendsMax) {
    const jobId = nextInTurn([...waiting.values()]);
    const next = jobId === undefined ? undefined : waiting.get(jobId);
    if (next === undefined) return sent;
    sent.push(next.jobId);
    waiting.set(next.jobId, { ...next, batchesReady: next.batchesReady - 1, lastDispatchedAt: sent.length });
  }
  return sent;
}

const candidates = fc.uniqueArray(
  fc.record({
    jobId: fc.stringMatching(/^[a-z]{3}$/),
    priority: fc.constantFrom(...PRIORITIES),
    batchesReady: fc.nat({ max: 3 }),
    lastDispatchedAt: fc.nat({ max: 3 }),
  }),
  { selector: ({ jobId }) => jobId, maxLength: 8 },
);

test('a short job sends every other batch beside a long one', () => {
  const long = job('a-long', { batchesReady: 10_000 });
  const short = job('short', { batchesReady: 3 });
  expect(sendAll([long, short], 7)).toEqual([
    'a-long',
    'short',
    'a-long',
    'short',
    'a-long',
    'short',
    'a-long',
  ]);
});

test('a job that starts late is served next and gets an equal share', () => {
  const long = job('long', { batchesReady: 10_000, lastDispatchedAt: -1 });
  const late = job('z-late', { batchesReady: 100, lastDispatchedAt: -2 });
  const sent = sendAll([long, late], 20);
  expect(sent[0]).toBe('z-late');
  expect(sent.filter((jobId) => jobId === 'z-late')).toHaveLength(10);
});

test('jobs of the same priority are never more than one batch apart', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 99 }), (jobCount, sends) => {
      const jobs = Array.from({ length: jobCount }, (_, index) =>
        job(`job-${index}`, { batchesReady: 1000 }),
      );
      const sent = sendAll(jobs, sends);
      const counts = jobs.map(({ jobId }) => sent.filter((one) => one === jobId).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

test('jobs of a higher priority are served first until they have no batch ready', () => {
  const low = job('low', { priority: 'low', batchesReady: 1 });
  const normal = job('normal', { batchesReady: 2 });
  const high = job('high', { priority: 'high', batchesReady: 2, lastDispatchedAt: 99 });
  expect(sendAll([low, normal, high])).toEqual(['high', 'high', 'normal', 'normal', 'low']);
});

test('every ready batch is sent exactly once', () => {
  fc.assert(
    fc.property(candidates, (jobs) => {
      const sent = sendAll(jobs);
      for (const { jobId, batchesReady } of jobs) {
        expect(sent.filter((one) => one === jobId)).toHaveLength(batchesReady);
      }
    }),
  );
});

test('the next job does not depend on the order of the list', () => {
  fc.assert(
    fc.property(candidates, (jobs) => {
      expect(nextInTurn(jobs.toReversed())).toBe(nextInTurn(jobs));
    }),
  );
});

test('no job is next when no batch is ready', () => {
  expect(nextInTurn([])).toBeUndefined();
  expect(
    nextInTurn([job('empty', { batchesReady: 0 }), job('rebuilt', { batchesReady: -1 })]),
  ).toBeUndefined();
});

test('the window holds two batches per engine, and a minimum without engines', () => {
  expect(windowSize(0)).toBeGreaterThanOrEqual(2);
  expect(windowSize(1)).toBe(windowSize(0));
  expect([10, 100].map(windowSize)).toEqual([20, 200]);
});
