/**
 * Retries failed frames of ended jobs, on request: `control/redrive/<jobId>/<poisonId>`, which `npm run poison redrive`, `npm run retry`
 * and the page write.
 *
 *   job open               the request waits until the job has ended
 *   no failed frame left   the request is removed, unless the job failed or was cancelled: it may have failed in the stitch
 *   otherwise              set the status to `waiting`, remove the entries of these frames from the poison queue, the failure records and
 *                          the segments with replacements, make the ledger forget the job, reopen it from storage with all other
 *                          frames, and finally remove the request
 *
 * A pass that is interrupted, or runs on two producers, is safe: the next pass finds the request and continues. At worst a frame
 * that has failed again meanwhile is retried once more.
 */
import pLimit from 'p-limit';

import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { failedFrameBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import {
  REDRIVE_PREFIX,
  decodeRedriveRequest,
  jobIdOfRedrive,
} from '../../shared/contract/redrive-request.ts';
import type { JobTimes } from '../../shared/redis/job-times.ts';
import type { ProducerMetrics } from '../metrics.ts';
import type { FrameRetention } from './frame-retention.ts';
import { type OpenJobServices, openJob } from './open-job.ts';
import { readReport } from './report.ts';
import { removeEntries } from './sift-queue.ts';
import { splitInStorage } from './source-plans.ts';
import { publishReopening, readStatus } from './status.ts';
import { listOutcomes } from './stored-outcomes.ts';

const CALLS_AT_ONCE = 16;

export interface RedriveServices extends OpenJobServices {
  readonly retention: FrameRetention;
  readonly poison: WorkQueue;
  readonly times: JobTimes;
  /** How often to scan for requests. */
  readonly scanMs: number;
  readonly metrics: ProducerMetrics;
}

/** Carries out all requests once. Returns how long to rest, in milliseconds. */
export async function redrivePass(services: RedriveServices): Promise<number> {
  const requests = new Map<string, string[]>();
  for await (const { name } of services.blobs.list('control', { prefix: REDRIVE_PREFIX })) {
    const jobId = jobIdOfRedrive(name);
    if (jobId !== undefined) requests.set(jobId, [...(requests.get(jobId) ?? []), name]);
  }
  for (const [jobId, names] of requests) {
    try {
      await redriveJob(services, jobId, names);
    } catch (error) {
      // An error with one job does not block the others.
      services.log.warn({ jobId, error }, 'redrive failed: will retry on the next pass');
    }
  }
  return services.scanMs;
}

async function redriveJob(
  services: RedriveServices,
  jobId: string,
  requests: readonly string[],
): Promise<void> {
  const { blobs, ledger, retention, times, clock, log, metrics } = services;
  if (await ledger.isOpen(jobId)) return;
  await using hold = await retention.hold(jobId);
  if (hold === undefined || (await ledger.isOpen(jobId))) return;
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined) {
    log.warn({ jobId, requests: requests.length }, 'redrive request removed: job has no trigger');
    await removeAll(services, 'control', requests);
    return;
  }
  const status = await readStatus(blobs, jobId);
  if (status === undefined) return; // Redis was lost before a status was published. Intake opens the job again.
  const requested = await readFrames(services, requests);
  const frames = requested && (await framesToRedrive(services, status, requested));
  if (frames === undefined || (frames.length === 0 && status.state === 'completed')) {
    log.info({ jobId, requests: requests.length }, 'redrive request removed: no failed frame left');
    await removeAll(services, 'control', requests);
    return;
  }
  const report = await readReport(blobs, jobId);
  await retention.cancel(jobId);
  await publishReopening(blobs, status, clock.now());
  const retried = new Set(frames);
  // Before they run again: an entry that appears later is of another failure.
  if (retried.size > 0)
    await removeEntries(
      services,
      (batch) => batch.jobId === jobId && [...indicesOf(batch.frames)].every((index) => retried.has(index)),
    );
  await reopenFrames(services, jobId, retried);
  const { inferSeconds } = await times.read(jobId);
  if (!(await ledger.forget(jobId))) return;
  const opening = await openJob(services, jobId, report?.model);
  if (opening === 'opened') await times.mark(jobId, { reopenedAtMs: clock.now().getTime(), inferSeconds });
  log.info({ jobId, frames: frames.length, opening }, 'job redriven');
  if (opening === 'known') return; // Another producer opened it, perhaps with the old failures. Check again when it has ended.
  if (opening === 'opened') metrics.redrives.inc(requests.length);
  await removeAll(services, 'control', requests);
}

/** Removes the failure records of these frames, and then the segments that show replacements for them. */
async function reopenFrames(
  services: RedriveServices,
  jobId: string,
  frames: ReadonlySet<number>,
): Promise<void> {
  const { blobs } = services;
  const split = { jobId, splitNumber: await splitInStorage(blobs, jobId) };
  const { segments, recorded } = await listOutcomes(blobs, split);
  const records = [...frames].filter((index) => recorded.has(index));
  await removeAll(
    services,
    'scored',
    records.map((index) => failedFrameBlob(split, index)),
  );
  const replaced = segments.filter(({ failed }) => failed.some((index) => frames.has(index)));
  await removeAll(
    services,
    'scored',
    replaced.map(({ name }) => name),
  );
}

/** The requested frames that still need to run: all of them if the job has no result. */
async function framesToRedrive(
  { blobs }: RedriveServices,
  { jobId, state }: JobStatus,
  requested: ReadonlySet<number>,
): Promise<number[]> {
  if (state !== 'completed') return [...requested];
  const report = await readReport(blobs, jobId);
  if (report === undefined) return [...requested];
  const failed = new Set(report.failedFrames.map(({ frameIndex }) => frameIndex));
  return [...requested].filter((index) => failed.has(index));
}

/** Undefined if no request can be read. */
async function readFrames(
  { blobs, log }: RedriveServices,
  requests: readonly string[],
): Promise<ReadonlySet<number> | undefined> {
  const limit = pLimit(CALLS_AT_ONCE);
  const frames = new Set<number>();
  let isAnyRead = false;
  const read = async (name: string): Promise<void> => {
    const bytes = await blobs.get('control', name);
    const request = bytes && decodeRedriveRequest(bytes.toString('utf8'));
    if (request === undefined) log.warn({ request: name }, 'redrive request ignored: cannot be read');
    else {
      isAnyRead = true;
      for (const frameIndex of indicesOf(request.frames)) frames.add(frameIndex);
    }
  };
  await Promise.all(requests.map((name) => limit(() => read(name))));
  return isAnyRead ? frames : undefined;
}

async function removeAll(
  { blobs }: RedriveServices,
  container: 'control' | 'scored',
  names: readonly string[],
): Promise<void> {
  const limit = pLimit(CALLS_AT_ONCE);
  await Promise.all(names.map((name) => limit(() => blobs.remove(container, name))));
}
