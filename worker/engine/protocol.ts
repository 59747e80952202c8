/**
 * What a worker and its engine say to each other over the IPC channel. Both are always of the same release.
 *
 * The engine is told which frames to run; it says of each frame when it begins to compute with it, when it has, and when its
 * output is stored or it has failed: so the worker knows what is done, and what it died of, if the engine dies.
 */
import type {
  FailureKind,
  ModelParameters,
  ModelReference,
  StageSeconds,
} from '../../shared/contract/messages.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import type { ErrorCode } from '../../shared/runtime/errors.ts';

export interface RunRequest {
  readonly jobId: string;
  readonly frames: readonly FrameRange[];
  /** In any stage at once. One: carefully. */
  readonly framesInFlight: number;
  readonly model: ModelReference;
  readonly parameters: ModelParameters;
}

export type ToEngine =
  | { readonly type: 'run'; readonly request: RunRequest }
  /** Start no more frames; finish those in flight, or with `discard` write nothing more. Answered by `ended`. */
  | { readonly type: 'stop'; readonly discard: boolean };

export interface FrameStored {
  readonly frameIndex: number;
  /** Input pixels, for rates. */
  readonly megapixels: number;
  readonly stageSeconds: StageSeconds;
}

export interface FrameFailed {
  readonly frameIndex: number;
  readonly kind: FailureKind;
  readonly message: string;
  /** Until it failed. */
  readonly stageSeconds: StageSeconds;
}

/** Why a run could not begin. Hopeless where no other worker can do better. */
export interface Refusal {
  readonly kind: 'model' | 'storage' | 'engine';
  readonly isHopeless: boolean;
  readonly code: ErrorCode;
  readonly message: string;
}

export type FromEngine =
  /** The run's model is in force, on this execution provider. */
  | { readonly type: 'loaded'; readonly executionProvider: string }
  /** The frame's bytes are here; native code works on them from now on. */
  | { readonly type: 'computing'; readonly frameIndex: number }
  /** Native code is done with the frame; its output is on the way to storage. */
  | { readonly type: 'computed'; readonly frameIndex: number }
  | { readonly type: 'stored'; readonly frame: FrameStored }
  | { readonly type: 'failed'; readonly frame: FrameFailed }
  /** The run is over: every frame was reported, or it was stopped, or it could not be run at all. */
  | { readonly type: 'ended'; readonly refusal: Refusal | null };
