/**
 * How many frames make a batch. PURE.
 *
 * Long enough that receiving and settling cost nothing beside the work (about 30 s), short enough that a small job still
 * occupies several engines and a lost machine loses little.
 */
import {
  BATCH_FRAMES_MAX,
  BATCH_TARGET_SECONDS,
  MEGAPIXELS_PER_SECOND_ASSUMED,
} from '../../shared/contract/limits.ts';

/** A job is cut into at least so many batches, so that the fleet has something to share. */
const BATCHES_PER_JOB_MIN = 16;
const BATCH_FRAMES_MIN = 4;

export interface BatchSizeInputs {
  readonly framesExpected: number;
  readonly megapixelsPerFrame: number;
  /** Of one engine with this model, where it has been measured. */
  readonly megapixelsPerSecond: number | undefined;
  /** What the job asked for: taken as it is. */
  readonly asked: number | undefined;
}

export function planBatchSize({
  framesExpected,
  megapixelsPerFrame,
  megapixelsPerSecond,
  asked,
}: BatchSizeInputs): number {
  if (asked !== undefined) return Math.min(Math.max(1, asked), BATCH_FRAMES_MAX);
  const rate = megapixelsPerSecond ?? MEGAPIXELS_PER_SECOND_ASSUMED;
  const inTargetTime = Math.floor((BATCH_TARGET_SECONDS * rate) / Math.max(megapixelsPerFrame, 1e-6));
  const shared = Math.ceil(framesExpected / BATCHES_PER_JOB_MIN);
  return Math.max(BATCH_FRAMES_MIN, Math.min(inTargetTime, shared, BATCH_FRAMES_MAX));
}
