/**
 * The messages between a worker and its engine over the IPC channel. Both are always of the same release.
 *
 * Two runs may overlap: while the last segment of one is encoded and stored, the next one is scored. Each message names its run.
 *
 * The worker sends the segments to run. The engine reports frames when native code starts on them, when native code is done, and when one
 * has failed, and each segment when it is stored. It asks before it runs a careful frame and before it stores a segment. If the engine
 * dies, the worker knows what is stored and what it was computing.
 */
import type { SplitOfJob } from '../../shared/contract/blob-names.ts';
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import type { BatchMessage, StageSeconds } from '../../shared/contract/messages.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import type { ErrorCode } from '../../shared/runtime/errors.ts';
import type { LoadAnswer } from './inference-client.ts';

interface SegmentRequest {
  readonly frames: FrameRange;
  /** Not tried: they show a replacement. */
  readonly givenUp: readonly number[];
  /** Run with nothing else in native code, each after the worker's consent. */
  readonly careful: readonly number[];
  /** Only for the state of the model: its frames are scored, but not reported, encoded or stored. */
  readonly isWarmUp?: boolean;
}

export interface RunRequest
  extends
    SplitOfJob,
    Pick<
      BatchMessage,
      | 'contextFrames'
      | 'draw'
      | 'encoding'
      | 'frameImages'
      | 'frameStart'
      | 'model'
      | 'onFailedFrame'
      | 'parameters'
      | 'picture'
      | 'pieceFormat'
      | 'pieces'
    > {
  readonly segments: readonly SegmentRequest[];
  /** The most frames in one run of the model, as earlier runs with this picture size have shown; null if they have shown no limit. */
  readonly microBatchMax: number | null;
  /** False if float16 has failed with this model on this worker before. */
  readonly mayUseHalf: boolean;
}

export type EngineQuestion =
  /** May this careful frame run now? */
  | { readonly kind: 'careful'; readonly frameIndex: number }
  /** May this segment be stored, although these of its frames failed in this run and show a replacement? */
  | { readonly kind: 'store'; readonly frames: FrameRange; readonly failed: readonly number[] };

export type ToEngine =
  | { readonly type: 'run'; readonly run: number; readonly request: RunRequest }
  | { readonly type: 'answer'; readonly id: number; readonly isYes: boolean }
  /** Start no more frames of the run, and finish the segment that is being stored, or with `discard` write nothing more. The engine answers `ended`. */
  | { readonly type: 'stop'; readonly run: number; readonly discard: boolean };

export interface ScoredFrame {
  readonly frameIndex: number;
  /** Input pixels, for rates. */
  readonly megapixels: number;
  /** Except for `infer`, the frame's share of its segment's time. */
  readonly stageSeconds: StageSeconds;
}

/** A segment that is in storage: from this run, or another worker was faster. */
export interface EngineSegment {
  readonly frames: FrameRange;
  /** The frames that show a replacement in storage. */
  readonly failed: readonly number[];
  /** The frames that this run scored. */
  readonly scored: readonly ScoredFrame[];
}

/** Why a run ended as a whole. Permanent if it would fail on every other worker too. */
export interface RunRefusal {
  /** `piece`: a piece of the source does not hold what the plan says. */
  readonly kind: 'model' | 'storage' | 'engine' | 'piece';
  readonly isPermanent: boolean;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What an engine says of a run. */
export type RunReport =
  /** The run's model is loaded. `microBatch` frames run together. */
  | ({ readonly type: 'loaded'; readonly microBatch: number } & Pick<
      LoadAnswer,
      'executionProvider' | 'precision' | 'halfRefusal' | 'cachedEngines'
    >)
  /** The first run of this model in float16 failed: it runs in float32 from now on. */
  | { readonly type: 'float16 refused'; readonly modelSha256: string; readonly reason: string }
  /** The frames are decoded; native code works on them, in one run of the model, from now on. */
  | { readonly type: 'computing'; readonly frames: FrameRange }
  /** Native code is done with the frames. */
  | { readonly type: 'computed'; readonly frames: FrameRange }
  /** So many frames failed together, and fewer run together from now on. */
  | { readonly type: 'reduced'; readonly microBatch: number; readonly reason: string }
  | { readonly type: 'failed'; readonly frame: FailedFrame }
  /** The run is nearly scored: another one may be sent, whose frames follow on the device. */
  | { readonly type: 'nearly scored' }
  | { readonly type: 'ask'; readonly id: number; readonly question: EngineQuestion }
  | { readonly type: 'stored'; readonly segment: EngineSegment }
  /** The run is over: every segment was stored or refused, the run was stopped, or it was refused. */
  | { readonly type: 'ended'; readonly refusal: RunRefusal | null };

export type FromEngine = { readonly run: number } & RunReport;
