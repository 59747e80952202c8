/**
 * What a worker and its engine say to each other over the IPC channel. Both are always of the same release.
 *
 * The engine is told which frames to run; it reports each frame as soon as its output is stored, so that the worker knows
 * what is done if the engine dies.
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
}

export type FromEngine =
  | { readonly type: 'ready'; readonly executionProvider: string }
  | { readonly type: 'stored'; readonly frame: FrameStored }
  | { readonly type: 'failed'; readonly frame: FrameFailed }
  /** The run is over: every frame was reported, or it was stopped, or it could not be run at all. */
  | { readonly type: 'ended'; readonly error: { readonly code: ErrorCode; readonly message: string } | null };
