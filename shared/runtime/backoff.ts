/**
 * Exponential back-off with full jitter. PURE: the randomness is given.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the variants, full jitter does
 * the least work for the same completion time. A floor keeps an idle loop from spinning.
 */
export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** How long to rest after `misses` misses in a row (1 is the first): between minMs and the doubled bound. */
export function backoffMs(
  misses: number,
  { minMs, maxMs }: BackoffLimits,
  /** From 0 to 1. */
  random: number,
): number {
  const bound = Math.min(maxMs, minMs * 2 ** Math.min(Math.max(misses, 1), 30));
  return minMs + random * (bound - minMs);
}
