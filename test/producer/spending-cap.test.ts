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
    framesExpected: 100,
    framesSplit: 100,
    splitFinished: true,
    batchSize: 10,
    megapixelsPerFrame: 1,
    nextBatch: 4,
    framesScored: 40,
    framesFailed: 0,
    framesStitched: 0,
    lastDispatchedAt: 0,
    batchesOutstanding: 0,
    batchesToSendAgain: 0,
    delayedUntilMs: [],
    warnings: [],
    ...changes,
  };
}

describe('whether one more batch may be sent', () => {
  test.each([
    ['nothing spent', 0, 0, true],
    ['half spent, nothing in flight', 0.5, 0, true],
    // 40 frames have cost 0.5, so the 40 in flight reach the cap.
    ['half spent, and the other half in flight', 0.5, 4, false],
    ['half spent, and less than that in flight', 0.5, 3, true],
    ['all spent', 1, 0, false],
    ['more than all spent', 8.27, 0, false],
  ])('%s', (_, spent, outstanding, expected) => {
    expect(maySendMore(buildJob(), spent, outstanding)).toBe(expected);
  });

  test('a job without a cap, or with one that was lifted, sends on', () => {
    const uncapped = buildJob({ definition: buildDefinition('job-1') });
    expect(maySendMore(uncapped, 1e6, 100)).toBe(true);
    expect(maySendMore(buildJob({ spendingMax: 'none' }), 1e6, 100)).toBe(true);
  });

  test('a later cap holds in place of the first', () => {
    expect(maySendMore(buildJob({ spendingMax: 5 }), 4, 0)).toBe(true);
    expect(maySendMore(buildJob({ spendingMax: 0.5 }), 0.6, 0)).toBe(false);
  });

  test('while no frame is done, what one costs is not known', () => {
    const begun = buildJob({ framesScored: 0 });
    expect(maySendMore(begun, 0.5, 4)).toBe(true);
    expect(maySendMore(begun, 1, 4)).toBe(false);
  });
});

describe('what the status says', () => {
  test('names what is spent, the cap, and the command that raises it', () => {
    expect(heldAtCap(buildJob({ batchesOutstanding: 2 }), 1.0249)).toEqual({
      spent: 1.02,
      spendingMax: 1,
      message:
        'The job has spent 1.02 of the 1 it may, and is held: no more of it is sent to the fleet. What is in flight is finished. Nothing is lost. To go on: npm run cap -- job-1 AMOUNT (more than 1.02, or none for no cap).',
    });
  });

  test.each([
    ['below its cap', buildJob(), 0.99],
    ['without a cap', buildJob({ spendingMax: 'none' }), 5],
    ['whose last batches are in flight', buildJob({ batchesOutstanding: 6 }), 5],
    ['of which only the stitching is left', buildJob({ framesScored: 98, framesFailed: 2 }), 5],
    ['that has ended', buildJob({ state: 'failed' }), 5],
  ])('a job %s is not held', (_, job, spent) => {
    expect(heldAtCap(job, spent)).toBeNull();
  });

  test('a job that is still split, or whose batches are to be sent again, is held', () => {
    expect(heldAtCap(buildJob({ splitFinished: false, batchesOutstanding: 6 }), 1)).not.toBeNull();
    expect(heldAtCap(buildJob({ batchesToSendAgain: 1, batchesOutstanding: 6 }), 1)).not.toBeNull();
  });
});
