/**
 * Decides whether a job with failed frames must fail. PURE.
 *
 * An unusable model fails the job with the first batch that reports it, because every other frame would fail too. A limit in
 * percent applies only once all frames are counted; a limit in frames applies at once.
 */
import { hasTooManyFailed } from '../../shared/contract/job.ts';
import type { FailureReason, LedgerJob } from '../../shared/redis/ledger-job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** How many reasons the error message names. Storage holds all of them. */
const REASONS_SHOWN = 3;

type FailureCounts = Pick<LedgerJob, 'framesFailed' | 'framesExpected' | 'splitFinished' | 'definition'>;

/** The error that the job must fail with, or null. */
export function failedFramesError(
  { framesFailed, framesExpected, splitFinished, definition }: FailureCounts,
  failures: readonly FailureReason[],
): PermanentError | null {
  if (framesFailed === 0) return null;
  const model = failures.find(({ kind }) => kind === 'model');
  if (model !== undefined) return modelError(definition.model, model.message);
  const { onFailedFrame, failedFramesMax: max } = definition.request;
  const isStrict = onFailedFrame === 'fail';
  const isDecidable = splitFinished || (max !== undefined && 'frames' in max);
  const isTooMany =
    isDecidable && hasTooManyFailed({ failed: framesFailed, frameCount: framesExpected, max });
  if (!isStrict && !isTooMany) return null;
  const unit = definition.request.source.kind === 'images' ? 'image' : 'frame';
  const what = framesExpected === 1 ? unit : `${unit}s`;
  const reasons = [...new Set(failures.map(({ kind, message }) => `${kind}: ${message}`))];
  const shown = reasons.slice(0, REASONS_SHOWN).join('; ');
  return new PermanentError(
    'TOO_MANY_FAILED_FRAMES',
    `${framesFailed} of ${framesExpected} ${what} could not be scored (${shown}).`,
    {
      hint: isStrict
        ? 'To tolerate a few failed frames, leave out `--on-failed-frame fail`.'
        : 'Read the reasons in scored/<job>/<frame>.failed.json, and check the first of these frames in the source. To accept more failed frames, enqueue with `--max-failed-frames`.',
    },
  );
}

function modelError({ name, version }: LedgerJob['definition']['model'], reason: string): PermanentError {
  const message = `The model ${name}/${version} cannot be used: ${reason}`;
  return new PermanentError('MODEL_INVALID', message.replace(/[.…]?$/, '.'), {
    hint: 'If this version was removed, publish it again and retry the job. If not, fix the model or its model.json, publish it as a new version, and enqueue the source again: the source is fine.',
  });
}
