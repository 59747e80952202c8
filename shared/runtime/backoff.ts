/**
 * Exponential back-off with full jitter. PURE: the randomness is passed in.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: among the variants, full jitter does
 * the least work for the same completion time. The minimum keeps an idle loop from spinning.
 */
export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** How long to rest after `misses` consecutive misses: from minMs up to minMs * 2 ** misses, at most maxMs. */
export function backoffMs(
  misses: number,
  { minMs, maxMs }: BackoffLimits,
  /** From 0 to 1. */
  random: number,
): number {
  const bound = Math.min(maxMs, minMs * 2 ** Math.min(Math.max(misses, 1), 30));
  return minMs + random * (bound - minMs);
}
