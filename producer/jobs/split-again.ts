/**
 * Asks for a second split of a job, by decoding its source, because the pieces of the first are not what the plan says.
 *
 * The second split itself makes the ledger forget the first, so that a producer that dies in between leaves nothing half done. A second
 * request for the same job changes nothing.
 */
import { SPLITS_MAX } from '../../shared/contract/limits.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type FailJobServices, failJob } from './fail-job.ts';
import type { Steps } from './steps.ts';

export interface SplitAgainServices extends FailJobServices {
  readonly steps: Steps;
}

/** `reason` completes "The source was split a second time, by decoding it: …". Fails the job if this was its last split. */
export async function splitAgain(
  services: SplitAgainServices,
  { jobId, splitNumber, definition }: Pick<LedgerJob, 'jobId' | 'splitNumber' | 'definition'>,
  reason: string,
): Promise<void> {
  const { request, epoch } = definition;
  const run = { jobId, epoch, splitNumber };
  if (splitNumber < SPLITS_MAX) {
    services.log.warn({ jobId, reason }, 'pieces are not as planned');
    const again = { jobId, epoch, splitNumber: splitNumber + 1, againBecause: reason };
    await services.steps.add('split', again, request.priority);
    return;
  }
  const error = new PermanentError(
    'MEDIA_TOOL_FAILED',
    `A piece of the source cannot be decoded, although the source was split twice: ${reason}.`,
    {
      hint: 'Check that ffmpeg on producer and workers is of the same release and not damaged, then enqueue the video again.',
    },
  );
  await failJob(services, run, error);
}
