/**
 * Keeps the frames of an ended job for a while, and then removes them: `frames/<jobId>/` and `scored/<jobId>/`. Those of a job
 * with failures are kept longer, to be looked at and tried again. The result stays.
 *
 * Removed in slices, each with the job held and looked at anew, so that a job that is opened again loses nothing more. Killed in
 * between, another pass goes on with what is left.
 */
import assert from 'node:assert/strict';

import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { capBlob, jobPrefix } from '../../shared/contract/blob-names.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { eachJob } from './each-job.ts';
import { type DueFrames, type FrameRetention, HOLD_MS } from './frame-retention.ts';

const PASS_MS = 30_000;
const JOBS_A_PASS = 16;
const SLICE_BLOBS = 512;
const REMOVALS_AT_ONCE = 32;
/** A slice begins no removal after this; one that has begun takes three minutes at the very most. */
const SLICE_MS = 60_000;
assert(SLICE_MS + 180_000 < HOLD_MS, 'a slice ends before its hold does');

export interface RetainParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly retention: FrameRetention;
  readonly keepFramesMs: number;
  readonly keepFailedFramesMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A job has come to its end. */
export async function keepForAWhile(
  { retention, keepFramesMs, keepFailedFramesMs, clock }: RetainParts,
  { jobId, state, framesFailed }: Pick<LedgerJob, 'jobId' | 'state' | 'framesFailed'>,
): Promise<void> {
  const isClean = state === 'completed' && framesFailed === 0;
  const keepMs = isClean ? keepFramesMs : keepFailedFramesMs;
  await retention.schedule({ jobId, dueAtMs: clock.now().getTime() + keepMs });
}

/** A slice of each job that is due; returns how long to rest. */
export async function retainPass(parts: RetainParts): Promise<number> {
  const due = await parts.retention.due(parts.clock.now().getTime(), { max: JOBS_A_PASS });
  let isMore = due.length === JOBS_A_PASS;
  const remove = async (job: DueFrames): Promise<void> => {
    if (await removeSlice(parts, job)) isMore = true;
  };
  await eachJob(due, remove, { log: parts.log, doing: 'removing its frames' });
  return isMore ? 0 : PASS_MS;
}

/** Returns whether more is left that may be removed at once. */
async function removeSlice(parts: RetainParts, due: DueFrames): Promise<boolean> {
  const { blobs, ledger, retention, clock, log } = parts;
  const { jobId, dueAtMs } = due;
  await using hold = await retention.hold(jobId);
  if (hold === undefined || (await retention.dueAtMs(jobId)) !== dueAtMs) return false;
  if (await ledger.isOpen(jobId)) {
    await retention.done(due); // Its next end gives it another time.
    return false;
  }
  const limit = pLimit(REMOVALS_AT_ONCE);
  const stopAtMs = clock.monotonicMs() + SLICE_MS;
  let isMore = false;
  for (const container of ['frames', 'scored'] as const) {
    const names = await firstNames(blobs, container, jobPrefix(jobId));
    isMore ||= names.length === SLICE_BLOBS;
    const remove = async (name: string): Promise<void> => {
      if (clock.monotonicMs() >= stopAtMs) isMore = true;
      else await blobs.remove(container, name);
    };
    await Promise.all(names.map((name) => limit(() => remove(name))));
  }
  if (isMore) return true;
  await blobs.remove('control', capBlob(jobId));
  await retention.done(due);
  log.info({ jobId }, 'frames of an ended job removed');
  return false;
}

async function firstNames(
  blobs: BlobStore,
  container: 'frames' | 'scored',
  prefix: string,
): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of blobs.list(container, { prefix })) {
    names.push(name);
    if (names.length === SLICE_BLOBS) break;
  }
  return names;
}
