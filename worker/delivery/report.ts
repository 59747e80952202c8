/**
 * What a delivery tells the job: each frame that was given up as a blob beside the scored ones, then the result message.
 * Repeating it does no harm.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { failedFrameBlob } from '../../shared/contract/blob-names.ts';
import { encodeFailedFrame } from '../../shared/contract/failed-frame.ts';
import { encodeMessage } from '../../shared/contract/messages.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { type ResultInputs, resultOf } from './result.ts';
import type { GivenUp } from './settle.ts';

const BLOBS_AT_ONCE = 8;

export interface ReportParts {
  readonly blobs: BlobStore;
  readonly results: WorkQueue;
  readonly clock: Clock;
}

/** `givenUp` by this delivery; `inputs.failed` are all that the job is told of. */
export async function report(
  { givenUp, ...inputs }: ResultInputs & { readonly givenUp: readonly GivenUp[] },
  { blobs, results, clock }: ReportParts,
): Promise<void> {
  const { batch, worker } = inputs;
  const failedAt = clock.now().toISOString();
  await pLimit(BLOBS_AT_ONCE).map(givenUp, (frame) =>
    blobs.put(
      'scored',
      failedFrameBlob(batch.jobId, frame.frameIndex),
      encodeFailedFrame({ ...frame, worker, model: batch.model, failedAt }),
      { contentType: 'application/json' },
    ),
  );
  await results.send(encodeMessage(resultOf(inputs)));
}
