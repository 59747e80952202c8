/**
 * Whether a job with failed frames can still become the video its owner asked for. PURE.
 *
 * A model that cannot be used ends the job with the first batch that found it out: every other frame would fail of it, too.
 * A share can be told only once all frames are counted: before that, one failure would be all there is. A number can be told
 * at once.
 */
import { hasTooManyFailed } from '../../shared/contract/job.ts';
import type { FrameFailure, LedgerJob } from '../../shared/redis/ledger-job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** Reasons told in the error; all of them stand in storage. */
const REASONS_TOLD = 3;

type Judged = Pick<LedgerJob, 'framesFailed' | 'framesExpected' | 'splitFinished' | 'definition'>;

/** The error that ends the job, or null. */
export function judge(
  { framesFailed, framesExpected, splitFinished, definition }: Judged,
  failures: readonly FrameFailure[],
): PermanentError | null {
  if (framesFailed === 0) return null;
  const model = failures.find(({ kind }) => kind === 'model');
  if (model !== undefined) return modelAtFault(definition.model, model.message);
  const { onFailedFrame, failedFramesMax: max } = definition.request;
  const isStrict = onFailedFrame === 'fail';
  const canTell = splitFinished || (max !== undefined && 'frames' in max);
  const isTooMany = canTell && hasTooManyFailed({ failed: framesFailed, frameCount: framesExpected, max });
  if (!isStrict && !isTooMany) return null;
  const reasons = [...new Set(failures.map(({ kind, message }) => `${kind}: ${message}`))];
  const told = reasons.slice(0, REASONS_TOLD).join('; ');
  return new PermanentError(
    'TOO_MANY_FAILED_FRAMES',
    `${framesFailed} of ${framesExpected} frames could not be scored (${told}).`,
    {
      hint: isStrict
        ? 'To accept a few bad frames, leave --on-failed-frame fail out.'
        : 'Each reason stands in scored/<job>/<frame>.failed.json. Look at the first of these frames in the source; to accept more of them, enqueue with --max-failed-frames.',
    },
  );
}

function modelAtFault({ name, version }: LedgerJob['definition']['model'], reason: string): PermanentError {
  const message = `The model ${name}/${version} cannot be used: ${reason}`;
  return new PermanentError('MODEL_INVALID', message.replace(/[.…]?$/, '.'), {
    hint: 'Correct the model or its model.json, publish it under a new version, and enqueue the video again. Nothing is wrong with the video.',
  });
}
