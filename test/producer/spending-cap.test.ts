import { describe, expect, test } from 'vitest';

import { heldAtCap, maySendMore } from '../../producer/jobs/spending-cap.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import { buildDefinition } from '../support/build-job.ts';

/** A job of 100 frames in batches of 10, with a cap of 1. */
function buildJob(changes: Partial<LedgerJob> = {}): LedgerJob {
  return {
    jobId: 'job-1',
    definition: buildDefinition('job-1', { spendingMax: 1 }),
    state: 'running',
    splitNumber: 1,
    framesExpected: 100,
    framesSplit: 100,
    splitFinished: true,
    batchSize: 10,
    megapixelsPerFrame: 1,
    nextBatch: 4,
    framesScored: 40,
    framesFailed: 0,
    framesUnderway: 0,
    framesStitched: 0,
    lastDispatchedAt: 0,
    pausedAtMs: 0,
    pauses: 0,
    batchesOutstanding: 0,
    batchesToSendAgain: 0,
    delayedUntilMs: [],
    warnings: [],
    ...changes,
  };
}

describe('maySendMore', () => {
  test.each([
    ['nothing is spent', 0, 0, true],
    ['half the cap is spent and nothing is in flight', 0.5, 0, true],
    // 40 frames have cost 0.5, so the 40 in flight reach the cap.
    ['half the cap is spent and the other half is in flight', 0.5, 4, false],
    ['half the cap is spent and less than that is in flight', 0.5, 3, true],
    ['the cap is spent', 1, 0, false],
    ['more than the cap is spent', 8.27, 0, false],
  ])('when %s', (_, spent, outstanding, expected) => {
    expect(maySendMore(buildJob(), spent, outstanding)).toBe(expected);
  });

  test('a job keeps sending when it has no cap or its cap was removed', () => {
    const uncapped = buildJob({ definition: buildDefinition('job-1') });
    expect(maySendMore(uncapped, 1e6, 100)).toBe(true);
    expect(maySendMore(buildJob({ spendingMax: 'none' }), 1e6, 100)).toBe(true);
  });

  test('a changed cap replaces the first one', () => {
    expect(maySendMore(buildJob({ spendingMax: 5 }), 4, 0)).toBe(true);
    expect(maySendMore(buildJob({ spendingMax: 0.5 }), 0.6, 0)).toBe(false);
  });

  test('batches in flight count as free while no frame is scored', () => {
    const started = buildJob({ framesScored: 0 });
    expect(maySendMore(started, 0.5, 4)).toBe(true);
    expect(maySendMore(started, 1, 4)).toBe(false);
  });
});

describe('heldAtCap', () => {
  test('names the amount spent, the cap, and the command that raises it', () => {
    expect(heldAtCap(buildJob({ batchesOutstanding: 2 }), 1.0249)).toEqual({
      spent: 1.02,
      spendingMax: 1,
      message:
        'The job has reached its spending cap (spent 1.02 of 1) and is on hold: no more batches are sent. Batches in flight will finish. No work is lost. To continue, raise the cap: npm run cap -- job-1 AMOUNT (more than 1.02, or `none` to remove the cap).',
    });
  });

  test.each([
    ['below its cap', buildJob(), 0.99],
    ['without a cap', buildJob({ spendingMax: 'none' }), 5],
    ['whose last batches are in flight', buildJob({ batchesOutstanding: 6 }), 5],
    ['that only needs stitching', buildJob({ framesScored: 98, framesFailed: 2 }), 5],
    ['that has ended', buildJob({ state: 'failed' }), 5],
  ])('a job %s is not held', (_, job, spent) => {
    expect(heldAtCap(job, spent)).toBeNull();
  });

  test('a job is held while its split runs or batches must be sent again', () => {
    expect(heldAtCap(buildJob({ splitFinished: false, batchesOutstanding: 6 }), 1)).not.toBeNull();
    expect(heldAtCap(buildJob({ batchesToSendAgain: 1, batchesOutstanding: 6 }), 1)).not.toBeNull();
  });
});
