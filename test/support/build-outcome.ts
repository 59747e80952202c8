/** Builds a delivery of a batch of four frames, 30 to 33. A test sets only what it is about. */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import type { FailureKind } from '../../shared/contract/messages.ts';
import type { DeliveryOutcome } from '../../worker/delivery/settlement.ts';
import { buildBatch } from './build-batch.ts';

const FOUR_FRAMES = buildBatch({ frameStart: 30, frameEnd: 34, segmentFrames: 1 });

export function buildFailure(frameIndex: number, kind: FailureKind = 'inference', attempts = 1): FailedFrame {
  return { frameIndex, kind, message: `no ${kind}`, attempts };
}

/** By default, this delivery stored frames 30 to 32, and 33 is open: segments of one frame. */
export function buildOutcome(fields: Partial<DeliveryOutcome> = {}): DeliveryOutcome {
  const stored = fields.stored ?? new Set([30, 31, 32]);
  return {
    batch: FOUR_FRAMES,
    worker: 'vm-0',
    dequeueCount: 1,
    leaseLost: false,
    interruption: null,
    givenUp: new Set(),
    stored,
    newlyStored: stored.size,
    failures: [],
    ...fields,
  };
}
