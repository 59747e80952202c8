/** Stores jobs that have ended, as many or as long as wanted, with requests, statuses and reports as the real ones have. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reportBlob, statusBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobReport, type JobState, newJobId } from '../../shared/contract/job.ts';
import { buildRequest } from './build-job.ts';

const WRITES_AT_ONCE = 64;
const FIRST_AT = Date.parse('2026-11-01T08:00:00.000Z');
const MINUTE_MS = 60_000;
const LATER_MS = 20 * 24 * 60 * MINUTE_MS;
const ENDS: readonly JobState[] = ['completed', 'completed', 'failed', 'cancelled'];
const LONG_REASON =
  'Its engine has ended with signal SIGSEGV three times on this frame, each time on another machine, so that it is not given to a further one.';
const HEX = 16;
const HEX_DIGITS = 6;

/** The oldest first. Returns their ids. */
export async function storeEndedJobs(blobs: BlobStore, count: number): Promise<string[]> {
  const jobIds: string[] = [];
  for (let start = 0; start < count; start += WRITES_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(WRITES_AT_ONCE, count - start) }, (_, at) => start + at);
    jobIds.push(...(await Promise.all(numbers.map((number) => storeEndedJob(blobs, number)))));
  }
  return jobIds;
}

async function storeEndedJob(blobs: BlobStore, number: number): Promise<string> {
  const createdAt = new Date(FIRST_AT + number * MINUTE_MS);
  const name = `clip-${number}.mp4`;
  const jobId = newJobId(name, createdAt, number.toString(HEX).padStart(HEX_DIGITS, '0'));
  const state = ENDS[number % ENDS.length] ?? 'completed';
  await storeJob(blobs, { jobId, name, createdAt, state, frames: 100, failed: 0 });
  return jobId;
}

/** A completed job, newer than those of `storeEndedJobs`, whose last frames have failed. Returns its id. */
export async function storeLongJob(
  blobs: BlobStore,
  { frames, failed }: { readonly frames: number; readonly failed: number },
): Promise<string> {
  const createdAt = new Date(FIRST_AT + LATER_MS);
  const jobId = newJobId('long.mp4', createdAt, '0'.repeat(HEX_DIGITS));
  const report: JobReport = {
    version: 1,
    jobId,
    source: { name: 'long.mp4', sizeBytes: 1000, etag: '"0x1"' },
    model: { name: 'painter', version: '3', sha256: '0'.repeat(64) },
    parameters: {},
    frameCount: frames,
    failedFrames: Array.from({ length: failed }, (_, index) => ({
      frameIndex: frames - failed + index,
      kind: 'inference',
      message: `The model failed for frame ${frames - failed + index}. ${LONG_REASON}`,
    })),
    warnings: [],
    resultSha256: null,
    flicker: null,
    actual: null,
    createdAt: createdAt.toISOString(),
    completedAt: new Date(createdAt.getTime() + MINUTE_MS).toISOString(),
  };
  await blobs.put('results', reportBlob(jobId), JSON.stringify(report));
  await storeJob(blobs, { jobId, name: 'long.mp4', createdAt, state: 'completed', frames, failed });
  return jobId;
}

interface StoredJob {
  readonly jobId: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly state: JobState;
  readonly frames: number;
  readonly failed: number;
}

async function storeJob(
  blobs: BlobStore,
  { jobId, name, createdAt, state, frames, failed }: StoredJob,
): Promise<void> {
  const status = {
    version: 1,
    jobId,
    state,
    frames: { expected: frames, split: frames, scored: frames - failed, failed, stitched: frames },
    scoringSince: createdAt.toISOString(),
    updatedAt: new Date(createdAt.getTime() + MINUTE_MS).toISOString(),
    warnings: [],
    result: null,
    error: null,
  };
  const source = { name, sizeBytes: 1000, etag: '"0x1"' };
  const request = buildRequest(jobId, { source, createdAt: createdAt.toISOString() });
  // The status first: a job that has ended is not opened.
  await blobs.put('results', statusBlob(jobId), JSON.stringify(status));
  await blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request));
}
