/**
 * The messages between a worker and its engine over the IPC channel. Both are always of the same release.
 *
 * The worker sends the frames to run. The engine reports each frame when native code starts on it, when native code is done, and
 * when its output is stored or it has failed. If the engine dies, the worker knows what is done and what it was computing.
 */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import type { ModelParameters, ModelReference, StageSeconds } from '../../shared/contract/messages.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import type { ErrorCode } from '../../shared/runtime/errors.ts';

export interface RunRequest {
  readonly jobId: string;
  readonly frames: readonly FrameRange[];
  /** In any stage at once. One to try a frame alone. */
  readonly framesInFlight: number;
  readonly model: ModelReference;
  readonly parameters: ModelParameters;
}

export type ToEngine =
  | { readonly type: 'run'; readonly request: RunRequest }
  /** Start no more frames. Finish those in flight, or with `discard` write nothing more. The engine answers `ended`. */
  | { readonly type: 'stop'; readonly discard: boolean };

export interface StoredFrame {
  readonly frameIndex: number;
  /** Input pixels, for rates. */
  readonly megapixels: number;
  readonly stageSeconds: StageSeconds;
}

/** A frame that failed in this run, with the time spent until then. */
export type FailedAttempt = FailedFrame & { readonly stageSeconds: StageSeconds };

/** Why a run ended as a whole. Permanent if it would fail on every other worker too. */
export interface RunRefusal {
  readonly kind: 'model' | 'storage' | 'engine';
  readonly isPermanent: boolean;
  readonly code: ErrorCode;
  readonly message: string;
}

export type FromEngine =
  /** The run's model is loaded, on this execution provider. */
  | { readonly type: 'loaded'; readonly executionProvider: string }
  /** The frame is fetched; native code works on it from now on. */
  | { readonly type: 'computing'; readonly frameIndex: number }
  /** Native code is done with the frame; its output is being stored. */
  | { readonly type: 'computed'; readonly frameIndex: number }
  | { readonly type: 'stored'; readonly frame: StoredFrame }
  | { readonly type: 'failed'; readonly frame: FailedAttempt }
  /** The run is over: every frame was reported, the run was stopped, or it was refused. */
  | { readonly type: 'ended'; readonly refusal: RunRefusal | null };
