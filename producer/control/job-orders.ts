/**
 * What an operator may order of a job, through storage alone: cancel, pause, resume, another priority, retry, clean up. For the commands
 * and the page. Cancel, pause and resume return when a producer has applied them.
 */
import { randomBytes } from 'node:crypto';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  JOB_CONTROLS_CHANGED_BLOB,
  controlBlob,
  jobPrefix,
  redriveBlob,
  triggerBlob,
} from '../../shared/contract/blob-names.ts';
import { type JobControl, decodeJobControl, encodeJobControl } from '../../shared/contract/job-control.ts';
import { type JobStatus, type Priority, isTerminal } from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import { encodeRedriveRequest } from '../../shared/contract/redrive-request.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { readReport } from '../jobs/report.ts';
import { readStatus } from '../jobs/status.ts';
import { jobEnded, jobUnknown } from './job-errors.ts';

/** The producer looks every three seconds. */
const CONFIRM_MS = 20_000;
const POLL_MS = 500;
const WRITE_TRIES = 5;

/** What is about to be done, for errors. */
const JOB_ACTIONS = {
  cancel: 'cancel',
  pause: 'pause',
  resume: 'resume',
  priority: 'set the priority',
  retry: 'retry',
  clean: 'clean up',
} as const;
export type JobAction = keyof typeof JOB_ACTIONS;

/** Throws JOB_ENDED, or STACK_FAILED if no producer runs. */
export async function cancelJob(
  blobs: BlobStore,
  jobId: string,
  { isCleaned }: { readonly isCleaned: boolean },
): Promise<JobStatus> {
  await requireOpen(blobs, jobId, 'cancel');
  await writeControl(blobs, jobId, (before) => ({
    ...before,
    order: 'cancel',
    ...(isCleaned && { clean: 'frames' }),
  }));
  return confirmed(blobs, jobId, ({ state }) => isTerminal(state));
}

/** Throws JOB_ENDED, or STACK_FAILED if no producer runs. */
export async function pauseJob(blobs: BlobStore, jobId: string): Promise<JobStatus> {
  await requireOpen(blobs, jobId, 'pause');
  await writeControl(blobs, jobId, (before) =>
    before.order === 'pause' ? before : { ...before, order: 'pause', pauses: before.pauses + 1 },
  );
  return confirmed(blobs, jobId, ({ pausedSince, state }) => pausedSince !== null || isTerminal(state));
}

/** Throws JOB_ENDED, or STACK_FAILED if no producer runs. */
export async function resumeJob(blobs: BlobStore, jobId: string): Promise<JobStatus> {
  await requireOpen(blobs, jobId, 'resume');
  await writeControl(blobs, jobId, (before) => ({ ...before, order: 'run' }));
  return confirmed(blobs, jobId, ({ pausedSince }) => pausedSince === null);
}

/** Throws JOB_ENDED. */
export async function setJobPriority(
  blobs: BlobStore,
  jobId: string,
  priority: Priority,
): Promise<JobStatus | undefined> {
  const status = await requireOpen(blobs, jobId, 'priority');
  await writeControl(blobs, jobId, (before) => ({ ...before, priority }));
  return status;
}

/**
 * Requests a retry of what failed or is missing. Frames whose segments are stored are not scored again. Returns how many failed frames are
 * retried. Throws JOB_NOT_FINISHED, or JOB_ENDED if there is nothing to retry.
 */
export async function retryJob(
  blobs: BlobStore,
  jobId: string,
): Promise<{ readonly status: JobStatus; readonly framesRetried: number }> {
  const status = await statusOfKnown(blobs, jobId, 'retry');
  if (status === undefined || !isTerminal(status.state))
    throw new TransientError('JOB_NOT_FINISHED', `Cannot retry: the job ${jobId} has not ended.`, {
      hint: `To follow it: npm run watch -- ${jobId}`,
    });
  const failed = (await readReport(blobs, jobId))?.failedFrames.map(({ frameIndex }) => frameIndex) ?? [];
  if (failed.length === 0 && status.state === 'completed')
    throw new PermanentError(
      'JOB_ENDED',
      `There is nothing to retry: every frame of the job ${jobId} was scored.`,
      { hint: `To get its result: npm run fetch -- ${jobId}` },
    );
  await writeControl(blobs, jobId, ({ clean: _clean, ...before }) => ({ ...before, order: 'run' }));
  const requestedAt = clock.now().toISOString();
  const id = `retry-${randomBytes(4).toString('hex')}`;
  for (let start = 0; start === 0 || start < failed.length; start += BATCH_FRAMES_MAX) {
    const poisonId = `${id}-${start}`;
    const frames = toRanges(failed.slice(start, start + BATCH_FRAMES_MAX));
    const request = encodeRedriveRequest({ version: 1, poisonId, frames, requestedAt });
    await blobs.put('control', redriveBlob(jobId, poisonId), request, { contentType: 'application/json' });
  }
  return { status, framesRetried: failed.length };
}

/** Has the pieces and segments of an ended job removed. Throws JOB_NOT_FINISHED. */
export async function cleanJob(blobs: BlobStore, jobId: string): Promise<JobStatus> {
  const status = await statusOfKnown(blobs, jobId, 'clean');
  if (status === undefined || !isTerminal(status.state))
    throw new TransientError('JOB_NOT_FINISHED', `Cannot clean up: the job ${jobId} has not ended.`, {
      hint: `Cancel it first: npm run cancel -- ${jobId} --clean`,
    });
  await writeControl(blobs, jobId, (before) => ({ ...before, clean: 'frames' }));
  return status;
}

/**
 * Removes the source, the result and the logs of an ended job. Returns the number of blobs. The trigger goes first, because a job with a
 * trigger and no status would start again.
 */
export async function removeJob(blobs: BlobStore, jobId: string): Promise<number> {
  await blobs.remove('incoming', triggerBlob(jobId));
  let removed = 1;
  for (const container of ['incoming', 'results', 'logs'] as const)
    for await (const { name } of blobs.list(container, { prefix: jobPrefix(jobId) })) {
      await blobs.remove(container, name);
      removed += 1;
    }
  return removed;
}

/** Throws JOB_UNKNOWN. */
async function statusOfKnown(
  blobs: BlobStore,
  jobId: string,
  action: JobAction,
): Promise<JobStatus | undefined> {
  const [trigger, status] = await Promise.all([
    blobs.stat('incoming', triggerBlob(jobId)),
    readStatus(blobs, jobId),
  ]);
  if (trigger === undefined) throw jobUnknown(jobId, JOB_ACTIONS[action]);
  return status;
}

/** Throws JOB_UNKNOWN or JOB_ENDED. */
async function requireOpen(
  blobs: BlobStore,
  jobId: string,
  action: JobAction,
): Promise<JobStatus | undefined> {
  const status = await statusOfKnown(blobs, jobId, action);
  if (status === undefined || !isTerminal(status.state)) return status;
  const hint =
    status.state === 'completed'
      ? `To get its result: npm run fetch -- ${jobId}`
      : `To run what is left of it: npm run retry -- ${jobId}`;
  throw jobEnded(status, JOB_ACTIONS[action], hint);
}

/** Another writer may change it at the same time: then it is read again. */
async function writeControl(
  blobs: BlobStore,
  jobId: string,
  change: (before: JobControl) => JobControl,
): Promise<void> {
  const none: JobControl = { version: 1, jobId, order: 'run', pauses: 0, setAt: clock.now().toISOString() };
  for (let tries = 0; tries < WRITE_TRIES; tries += 1) {
    const found = await blobs.getVersion('control', controlBlob(jobId));
    const before = found && decodeJobControl(found.bytes.toString('utf8'), jobId);
    const control = { ...change(before ?? none), setAt: clock.now().toISOString() };
    const options = { contentType: 'application/json', onlyIfEtag: found?.etag ?? null };
    const etag = await blobs.replace('control', controlBlob(jobId), encodeJobControl(control), options);
    if (etag === undefined) continue;
    await blobs.put('control', JOB_CONTROLS_CHANGED_BLOB, control.setAt);
    return;
  }
  throw new TransientError('STORAGE_UNAVAILABLE', `The control of the job ${jobId} keeps changing.`, {
    hint: 'Another command or page changes it at the same time. Run the command again.',
  });
}

/** The status in which the producer has applied the order. Throws STACK_FAILED if that takes too long. */
async function confirmed(
  blobs: BlobStore,
  jobId: string,
  isApplied: (status: JobStatus) => boolean,
): Promise<JobStatus> {
  const giveUpAtMs = clock.monotonicMs() + CONFIRM_MS;
  for (;;) {
    const status = await readStatus(blobs, jobId);
    if (status !== undefined && isApplied(status)) return status;
    if (clock.monotonicMs() >= giveUpAtMs)
      throw new TransientError(
        'STACK_FAILED',
        `No producer has applied this within ${CONFIRM_MS / 1000} s. The order is stored, and holds from when one runs.`,
        { hint: `Check that a producer runs. To see the job: npm run status -- ${jobId}` },
      );
    await clock.sleep(POLL_MS);
  }
}
