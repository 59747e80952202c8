/**
 * What a delivery tells the job: each frame that was given up as a blob beside the scored ones, then the result message.
 * Repeating it does no harm.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../shared/azure/blob-store.ts';
import type { WorkQueue } from '../shared/azure/work-queue.ts';
import { failedFrameBlob } from '../shared/contract/blob-names.ts';
import { encodeMessage } from '../shared/contract/messages.ts';
import { type ResultInputs, resultOf } from './result.ts';

const BLOBS_AT_ONCE = 8;

export async function report(
  inputs: ResultInputs,
  { blobs, results }: { readonly blobs: BlobStore; readonly results: WorkQueue },
): Promise<void> {
  const { batch, worker, failed } = inputs;
  await pLimit(BLOBS_AT_ONCE).map(failed, ({ frameIndex, kind, message }) =>
    blobs.put(
      'scored',
      failedFrameBlob(batch.jobId, frameIndex),
      JSON.stringify({ frameIndex, kind, message, worker, model: batch.model }),
      { contentType: 'application/json' },
    ),
  );
  await results.send(encodeMessage(resultOf(inputs)));
}
