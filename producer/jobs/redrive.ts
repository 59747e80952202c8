/**
 * Tries failures of ended jobs again, on request: `control/redrive/<jobId>/<poisonId>`, which `npm run poison redrive` writes.
 *
 *   the job is open              the request waits until it has ended
 *   nothing of it is failed now  the request goes
 *   else                         its status says that it waits; the records of the failures go; the ledger forgets the job and
 *                                opens it again, from storage, with all that is scored; the request goes, last
 *
 * Killed between any two of these, or done by two producers: the next pass finds the request and goes on. At worst a frame that
 * has failed again meanwhile is tried once more.
 */
import pLimit from 'p-limit';

import { failedFrameBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import {
  REDRIVE_PREFIX,
  decodeRedriveRequest,
  jobIdOfRedrive,
} from '../../shared/contract/redrive-request.ts';
import { type OpenJobParts, openJob } from '../intake/open-job.ts';
import type { ProducerMetrics } from '../metrics.ts';
import type { FrameRetention } from './frame-retention.ts';
import { readReport } from './report.ts';
import { publishReopening, readStatus } from './status.ts';
import { storedFrames } from './stored-outcomes.ts';

const CALLS_AT_ONCE = 16;

export interface RedriveParts extends OpenJobParts {
  readonly retention: FrameRetention;
  /** How often requests are looked for. */
  readonly scanMs: number;
  readonly metrics: ProducerMetrics;
}

/** One look at all requests; returns how long to rest. */
export async function redrivePass(parts: RedriveParts): Promise<number> {
  const requests = new Map<string, string[]>();
  for await (const { name } of parts.blobs.list('control', { prefix: REDRIVE_PREFIX })) {
    const jobId = jobIdOfRedrive(name);
    if (jobId !== undefined) requests.set(jobId, [...(requests.get(jobId) ?? []), name]);
  }
  for (const [jobId, names] of requests) {
    try {
      await redriveJob(parts, jobId, names);
    } catch (error) {
      // Whatever is wrong with one job must not keep the others waiting.
      parts.log.warn({ jobId, error }, 'failures could not be tried again: they will be');
    }
  }
  return parts.scanMs;
}

async function redriveJob(parts: RedriveParts, jobId: string, requests: readonly string[]): Promise<void> {
  const { blobs, ledger, retention, clock, log, metrics } = parts;
  if (await ledger.isOpen(jobId)) return;
  await using hold = await retention.hold(jobId);
  if (hold === undefined || (await ledger.isOpen(jobId))) return;
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined) {
    log.warn({ jobId, requests: requests.length }, 'nothing can be tried again: the job has no trigger');
    await removeAll(parts, 'control', requests);
    return;
  }
  const status = await readStatus(blobs, jobId);
  if (status === undefined) return; // Its ledger was lost before anything was said: intake opens it.
  const frames = await framesToRedrive(parts, status, await readFrames(parts, requests));
  if (frames.length === 0) {
    log.info({ jobId, requests: requests.length }, 'nothing of what was to be tried again is failed now');
    await removeAll(parts, 'control', requests);
    return;
  }
  const report = await readReport(blobs, jobId);
  await retention.cancel(jobId);
  await publishReopening(blobs, status, { now: clock.now() });
  const { failed } = await storedFrames(blobs, jobId);
  const wanted = new Set(frames);
  const records = failed.filter((index) => wanted.has(index)).map((index) => failedFrameBlob(jobId, index));
  await removeAll(parts, 'scored', records);
  if (!(await ledger.forget(jobId))) return;
  const opening = await openJob(parts, jobId, { model: report?.model });
  log.info({ jobId, frames: frames.length, opening }, 'failures are tried again');
  if (opening === 'known') return; // Another opened it: whether it did so with the failures is seen when it ends.
  if (opening === 'opened') metrics.redrives.inc(requests.length);
  await removeAll(parts, 'control', requests);
}

/** Of the frames asked for, those that are to be done. All where the job has no result. */
async function framesToRedrive(
  { blobs }: RedriveParts,
  { jobId, state }: JobStatus,
  asked: ReadonlySet<number>,
): Promise<number[]> {
  if (state !== 'completed') return [...asked];
  const [{ scored }, report] = await Promise.all([storedFrames(blobs, jobId), readReport(blobs, jobId)]);
  const failed = report && new Set(report.failedFrames.map(({ frameIndex }) => frameIndex));
  return [...asked].filter((index) => !scored.has(index) && (failed === undefined || failed.has(index)));
}

async function readFrames(
  { blobs, log }: RedriveParts,
  requests: readonly string[],
): Promise<ReadonlySet<number>> {
  const limit = pLimit(CALLS_AT_ONCE);
  const frames = new Set<number>();
  const read = async (name: string): Promise<void> => {
    const bytes = await blobs.get('control', name);
    const request = bytes && decodeRedriveRequest(bytes.toString('utf8'));
    if (request === undefined) log.warn({ request: name }, 'redrive request refused: it cannot be read');
    else for (const frameIndex of indicesOf(request.frames)) frames.add(frameIndex);
  };
  await Promise.all(requests.map((name) => limit(() => read(name))));
  return frames;
}

async function removeAll(
  { blobs }: RedriveParts,
  container: 'control' | 'scored',
  names: readonly string[],
): Promise<void> {
  const limit = pLimit(CALLS_AT_ONCE);
  await Promise.all(names.map((name) => limit(() => blobs.remove(container, name))));
}
