/** Builds small, valid jobs and results. A test sets only what it is about. */
import type { SplitOfJob } from '../../shared/contract/blob-names.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import { MESSAGE_VERSION, type ResultMessage } from '../../shared/contract/messages.ts';
import type { JobDefinition } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';

export const MODEL_SHA256 = 'ab'.repeat(32);
const CREATED_AT = '2026-11-23T06:15:02.000Z';

export function buildRequest(jobId: string, changes: Partial<JobRequest> = {}): JobRequest {
  return {
    version: 1,
    jobId,
    source: { name: 'harbour.mp4', sizeBytes: 1000, etag: '"0x1"' },
    model: { name: 'painter' },
    parameters: { style: 'great-wave' },
    priority: 'normal',
    onFailedFrame: 'keep-original',
    createdAt: CREATED_AT,
    ...changes,
  };
}

export function buildDefinition(
  jobId: string,
  changes: Partial<JobRequest> = {},
  epoch = Date.parse(CREATED_AT),
): JobDefinition {
  return {
    request: buildRequest(jobId, changes),
    model: { name: 'painter', version: '1', sha256: MODEL_SHA256 },
    result: 'pictures',
    epoch,
  };
}

/** Most jobs in tests are split once. */
export const firstSplit = (jobId: string): SplitOfJob => ({ jobId, splitNumber: 1 });

/** Opens a job in the ledger whose split is finished. */
export async function openSplitJob(
  ledger: Ledger,
  jobId: string,
  {
    frameCount,
    batchSize,
    ...changes
  }: { readonly frameCount: number; readonly batchSize: number } & Partial<JobRequest>,
): Promise<void> {
  await ledger.open(buildDefinition(jobId, changes), 1);
  await ledger.move(jobId, 'running');
  await ledger.planSplit(firstSplit(jobId), {
    batchSize,
    framesExpected: frameCount,
    megapixelsPerFrame: 0.5,
  });
  await ledger.finishSplit(firstSplit(jobId), frameCount);
}

export function buildResult(jobId: string, changes: Partial<ResultMessage> = {}): ResultMessage {
  return {
    version: MESSAGE_VERSION,
    jobId,
    batchIndex: 0,
    epoch: Date.parse(CREATED_AT),
    splitNumber: 1,
    worker: 'vm-0',
    scored: [],
    failed: [],
    underway: 0,
    framesRun: 0,
    megapixels: 0,
    wallSeconds: 0,
    stageSeconds: { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 },
    ...changes,
  };
}
