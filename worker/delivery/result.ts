/** The result message of a delivery. PURE. */
import { FAILURE_REASONS_MAX } from '../../shared/contract/limits.ts';
import {
  type BatchMessage,
  type FailureKind,
  MESSAGE_VERSION,
  type ResultMessage,
  STAGES,
  type StageSeconds,
} from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { FrameStored } from '../engine/protocol.ts';

/** A frame that will not be tried again. */
export interface FailedForGood {
  readonly frameIndex: number;
  readonly kind: FailureKind;
  readonly message: string;
}

export interface ResultInputs {
  readonly batch: BatchMessage;
  readonly worker: string;
  readonly scored: Iterable<number>;
  readonly failed: readonly FailedForGood[];
  /** What this delivery stored itself. */
  readonly run: readonly FrameStored[];
  readonly wallSeconds: number;
  /** Where the batch is released with a delay. */
  readonly delaySeconds?: number | undefined;
}

export function resultOf(inputs: ResultInputs): ResultMessage {
  const { batch, worker, scored, failed, run, wallSeconds, delaySeconds } = inputs;
  const stageSeconds: StageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  for (const frame of run) for (const stage of STAGES) stageSeconds[stage] += frame.stageSeconds[stage];
  return {
    version: MESSAGE_VERSION,
    jobId: batch.jobId,
    batchIndex: batch.batchIndex,
    epoch: batch.epoch,
    worker,
    scored: toRanges(scored),
    failed: groupFailures(failed),
    framesRun: run.length,
    megapixels: run.reduce((sum, { megapixels }) => sum + megapixels, 0),
    wallSeconds,
    stageSeconds,
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
  };
}

/** Frames with the same reason share an entry; beyond the bound, reasons of one kind are told together. */
function groupFailures(failed: readonly FailedForGood[]): ResultMessage['failed'] {
  const groups = new Map<string, { kind: FailureKind; message: string; frames: number[] }>();
  for (const { frameIndex, kind, message } of failed) {
    const own = `${kind} ${message}`;
    const key = groups.has(own) || groups.size < FAILURE_REASONS_MAX / 2 ? own : kind;
    const group = groups.get(key) ?? {
      kind,
      message: key === own ? message : 'various reasons: see the log',
      frames: [],
    };
    group.frames.push(frameIndex);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ kind, message, frames }) => ({
    kind,
    message,
    frames: toRanges(frames),
  }));
}
