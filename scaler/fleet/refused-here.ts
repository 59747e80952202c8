/** A refusal of our own: nobody was asked. PURE. */
import type { BlockReason, Outcome } from './fleet.ts';

export function refusedHere(
  reason: BlockReason,
  message: string,
  retryAfterMs: number | null = null,
): Outcome {
  return { kind: 'refused', reason, message, capacityThatFits: null, retryAfterMs };
}
