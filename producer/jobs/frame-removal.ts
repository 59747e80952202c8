/**
 * Removes the frames of an ended job after its retention time: `pieces/<jobId>/` and `scored/<jobId>/`. Frames of a job with
 * failures are kept longer, for inspection and redrive. The result stays, and so do the logs unless the whole job is gone.
 *
 * Frames are removed in slices. Each slice holds the job and checks its state first, so a job that is reopened loses nothing
 * more. After a crash the next pass removes the rest.
 */
import assert from 'node:assert/strict';

import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { capBlob, controlBlob, jobPrefix, triggerBlob } from '../../shared/contract/blob-names.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { forEachJob } from './for-each-job.ts';
import { type DueFrames, type FrameRetention, HOLD_MS } from './frame-retention.ts';

const PASS_MS = 30_000;
const JOBS_PER_PASS = 16;
const SLICE_BLOBS = 512;
const REMOVALS_AT_ONCE = 32;
/** A slice starts no removal after this time. A removal in progress takes at most three more minutes. */
const SLICE_MS = 60_000;
assert(SLICE_MS + 180_000 < HOLD_MS, 'a slice must end before its hold expires');

export interface FrameRemovalServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly retention: FrameRetention;
  readonly keepFramesMs: number;
  readonly keepFailedFramesMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Schedules the removal of an ended job's frames. */
export async function scheduleFrameRemoval(
  { retention, keepFramesMs, keepFailedFramesMs, clock }: FrameRemovalServices,
  { jobId, state, framesFailed }: Pick<LedgerJob, 'jobId' | 'state' | 'framesFailed'>,
): Promise<void> {
  const isClean = state === 'completed' && framesFailed === 0;
  const keepMs = isClean ? keepFramesMs : keepFailedFramesMs;
  await retention.schedule({ jobId, dueAtMs: clock.now().getTime() + keepMs });
}

/** Removes one slice of each job that is due. Returns how long to rest, in milliseconds. */
export async function removeExpiredFrames(services: FrameRemovalServices): Promise<number> {
  const due = await services.retention.listDue(services.clock.now().getTime(), JOBS_PER_PASS);
  let isMore = due.length === JOBS_PER_PASS;
  const remove = async (job: DueFrames): Promise<void> => {
    if (await removeSlice(services, job)) isMore = true;
  };
  await forEachJob(due, remove, { log: services.log, doing: 'removing the frames' });
  return isMore ? 0 : PASS_MS;
}

/** Returns whether the job has more frames to remove. */
async function removeSlice(services: FrameRemovalServices, due: DueFrames): Promise<boolean> {
  const { blobs, ledger, retention, clock, log } = services;
  const { jobId, dueAtMs } = due;
  await using hold = await retention.hold(jobId);
  if (hold === undefined || (await retention.dueAtMs(jobId)) !== dueAtMs) return false;
  if (await ledger.isOpen(jobId)) {
    await retention.removeDue(due); // The job gets a new due time when it ends again.
    return false;
  }
  const limit = pLimit(REMOVALS_AT_ONCE);
  const stopAtMs = clock.monotonicMs() + SLICE_MS;
  let isMore = false;
  // The plan last: a job that is redriven in between keeps the sizes of its segments.
  for (const container of ['scored', 'pieces'] as const) {
    if (isMore) break;
    const names = await firstNames(blobs, container, jobPrefix(jobId));
    isMore = names.length === SLICE_BLOBS;
    const remove = async (name: string): Promise<void> => {
      if (clock.monotonicMs() >= stopAtMs) isMore = true;
      else await blobs.remove(container, name);
    };
    await Promise.all(names.map((name) => limit(() => remove(name))));
  }
  if (isMore) return true;
  await blobs.remove('control', capBlob(jobId));
  await blobs.remove('control', controlBlob(jobId));
  // Of a job that is gone: a worker may have written its log since.
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined)
    for await (const { name } of blobs.list('logs', { prefix: jobPrefix(jobId) }))
      await blobs.remove('logs', name);
  await retention.removeDue(due);
  log.info({ jobId }, 'frames removed');
  return false;
}

async function firstNames(
  blobs: BlobStore,
  container: 'pieces' | 'scored',
  prefix: string,
): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of blobs.list(container, { prefix })) {
    names.push(name);
    if (names.length === SLICE_BLOBS) break;
  }
  return names;
}
