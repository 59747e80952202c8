/**
 * How many frames make a batch, and how many a segment. PURE.
 *
 * A batch takes about 30 s: long enough that the cost of receiving and settling it is negligible, short enough that a small job
 * still occupies several engines and a lost instance loses little work. A segment is what a lost instance loses, and what a retried frame
 * repeats; longer ones cost fewer calls to storage and fewer key frames.
 */
import {
  BATCH_FRAMES_MAX,
  BATCH_TARGET_SECONDS,
  MEGAPIXELS_PER_SECOND_ASSUMED,
} from '../../shared/contract/limits.ts';

/** A job has at least this many batches, so that several engines can share it. */
const BATCHES_PER_JOB_MIN = 16;
/** Starting ffmpeg and settling cost as much as a few frames. */
const BATCH_FRAMES_MIN = 16;
/** A segment costs the start of an encoder, about 0.1 s of a core, and two storage operations. */
const SEGMENT_FRAMES_MAX = 128;
/** A piece of decoded frames is a JPEG for each of them. */
const DECODED_PIECE_FRAMES_MAX = 64;
/** Frames of a batch for each frame before it that is scored again. */
const FRAMES_PER_CONTEXT_FRAME_MIN = 4;
/** The encoder holds all frames of a segment at its end, and a piece of decoded frames is held in memory. */
const SEGMENT_MEGAPIXELS_MAX = 256;

export interface BatchSizeInputs {
  readonly framesExpected: number;
  readonly megapixelsPerFrame: number;
  /** The measured rate of one engine with this model. Undefined until it is known. */
  readonly megapixelsPerSecond: number | undefined;
  /** The batch size in the job request. Overrides the calculation. */
  readonly requested: number | undefined;
  /** Frames before a batch that are scored again, because the model has a state. */
  readonly contextFrames?: number;
}

export interface BatchSizes {
  /** A multiple of `segmentFrames`. */
  readonly batchFrames: number;
  readonly segmentFrames: number;
}

export function planBatchSizes(inputs: BatchSizeInputs): BatchSizes {
  const wanted = batchFramesWanted(inputs);
  const segments = Math.ceil(wanted / segmentFramesMax(inputs));
  const segmentFrames = Math.floor(wanted / segments);
  return { batchFrames: segments * segmentFrames, segmentFrames };
}

/** As many frames as a piece of decoded frames may have. */
export function decodedPieceFramesMax(frame: Pick<BatchSizeInputs, 'megapixelsPerFrame'>): number {
  return Math.min(segmentFramesMax(frame), DECODED_PIECE_FRAMES_MAX);
}

function segmentFramesMax({ megapixelsPerFrame }: Pick<BatchSizeInputs, 'megapixelsPerFrame'>): number {
  const fit = Math.floor(SEGMENT_MEGAPIXELS_MAX / Math.max(megapixelsPerFrame, 1e-6));
  return Math.min(Math.max(1, fit), SEGMENT_FRAMES_MAX);
}

function batchFramesWanted({
  framesExpected,
  megapixelsPerFrame,
  megapixelsPerSecond,
  requested,
  contextFrames = 0,
}: BatchSizeInputs): number {
  if (requested !== undefined) return Math.min(Math.max(1, requested), BATCH_FRAMES_MAX);
  const rate = megapixelsPerSecond ?? MEGAPIXELS_PER_SECOND_ASSUMED;
  const inTargetTime = Math.floor((BATCH_TARGET_SECONDS * rate) / Math.max(megapixelsPerFrame, 1e-6));
  const shared = Math.ceil(framesExpected / BATCHES_PER_JOB_MIN);
  const min = Math.max(BATCH_FRAMES_MIN, contextFrames * FRAMES_PER_CONTEXT_FRAME_MIN);
  return Math.max(min, Math.min(inTargetTime, shared, BATCH_FRAMES_MAX));
}
