/** A delivery of a batch of four frames, 30 to 33; say only what a test is about. */
import type { FailureKind } from '../../shared/contract/messages.ts';
import type { Delivery, Trouble } from '../../worker/delivery/settle.ts';
import { buildBatch } from './build-batch.ts';

const FOUR_FRAMES = buildBatch({ frameStart: 30, frameEnd: 34 });

export function buildTrouble(frameIndex: number, kind: FailureKind = 'inference', times = 1): Trouble {
  return { frameIndex, kind, message: `no ${kind}`, times };
}

/** Frames 30 to 32 were stored by this delivery, 33 is open. */
export function buildDelivery(fields: Partial<Delivery> = {}): Delivery {
  const scored = fields.scored ?? new Set([30, 31, 32]);
  return {
    batch: FOUR_FRAMES,
    worker: 'vm-0',
    dequeueCount: 1,
    leaseLost: false,
    interruption: null,
    failedBefore: new Set(),
    scored,
    newlyStored: scored.size,
    troubles: [],
    ...fields,
  };
}
