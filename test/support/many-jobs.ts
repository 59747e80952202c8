/** Stores jobs that have ended, as many as wanted, with requests and statuses as the real ones have. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { statusBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobState, newJobId } from '../../shared/contract/job.ts';
import { buildRequest } from './build-job.ts';

const WRITES_AT_ONCE = 64;
const FIRST_AT = Date.parse('2026-11-01T08:00:00.000Z');
const MINUTE_MS = 60_000;
const ENDS: readonly JobState[] = ['completed', 'completed', 'failed', 'cancelled'];
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
  const frames = { expected: 100, split: 100, scored: 100, failed: 0, stitched: 100 };
  const status = {
    version: 1,
    jobId,
    state: ENDS[number % ENDS.length],
    frames,
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
  return jobId;
}
