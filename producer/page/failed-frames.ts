/** The frames of a job that could not be scored, for its page: of a running job from the ledger, of an ended one from its report. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { failedFrameBlob } from '../../shared/contract/blob-names.ts';
import { failureIn } from '../../shared/contract/failed-frame.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import { type JobView, imageNamesOf } from '../control/job-view.ts';
import { readReport } from '../jobs/report.ts';
import { splitInStorage } from '../jobs/source-plans.ts';
import type { FailedFrameSummary } from './contract.ts';
import { isOver } from './job-summary.ts';

const READS_AT_ONCE = 8;

export interface FailedFramesQuery {
  /** How many to leave out. */
  readonly from: number;
  readonly limit: number;
}

export async function failedFramesOf(
  { blobs, ledger }: { readonly blobs: BlobStore; readonly ledger: Ledger },
  view: JobView,
  { from, limit }: FailedFramesQuery,
): Promise<FailedFrameSummary[]> {
  const { jobId } = view;
  const all = isOver(view)
    ? ((await readReport(blobs, jobId))?.failedFrames ?? [])
    : await ledger.failures(jobId);
  const some = all.slice(from, from + limit);
  if (some.length === 0) return [];
  const [splitNumber, names] = await Promise.all([splitInStorage(blobs, jobId), imageNamesOf(blobs, view)]);
  return pLimit(READS_AT_ONCE).map(some, async ({ frameIndex, kind, message }) => {
    const record = await blobs.get('scored', failedFrameBlob({ jobId, splitNumber }, frameIndex));
    return {
      frameIndex,
      name: names[frameIndex] ?? null,
      kind,
      message,
      attempts: record === undefined ? 1 : failureIn(String(record)).attempts,
    };
  });
}
