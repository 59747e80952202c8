/**
 * How many frames make a batch. PURE.
 *
 * A batch takes about 30 s: long enough that the cost of receiving and settling it is negligible, short enough that a small job
 * still occupies several engines and a lost instance loses little work.
 */
import {
  BATCH_FRAMES_MAX,
  BATCH_TARGET_SECONDS,
  MEGAPIXELS_PER_SECOND_ASSUMED,
} from '../../shared/contract/limits.ts';

/** A job has at least this many batches, so that several engines can share it. */
const BATCHES_PER_JOB_MIN = 16;
const BATCH_FRAMES_MIN = 4;

export interface BatchSizeInputs {
  readonly framesExpected: number;
  readonly megapixelsPerFrame: number;
  /** The measured rate of one engine with this model. Undefined until it is known. */
  readonly megapixelsPerSecond: number | undefined;
  /** The batch size in the job request. Overrides the calculation. */
  readonly requested: number | undefined;
}

export function planBatchSize({
  framesExpected,
  megapixelsPerFrame,
  megapixelsPerSecond,
  requested,
}: BatchSizeInputs): number {
  if (requested !== undefined) return Math.min(Math.max(1, requested), BATCH_FRAMES_MAX);
  const rate = megapixelsPerSecond ?? MEGAPIXELS_PER_SECOND_ASSUMED;
  const inTargetTime = Math.floor((BATCH_TARGET_SECONDS * rate) / Math.max(megapixelsPerFrame, 1e-6));
  const shared = Math.ceil(framesExpected / BATCHES_PER_JOB_MIN);
  return Math.max(BATCH_FRAMES_MIN, Math.min(inTargetTime, shared, BATCH_FRAMES_MAX));
}
