/**
 * Waits for a condition by polling it, and fails with a description of the condition after a time-out. The time-out catches
 * hangs, not slowness: other work may share the cores.
 */
import { systemClock } from '../../shared/runtime/clock.ts';

const BOUND_MS = 200_000;
/** The interval is a tenth of the time waited so far, within these limits, so that a long wait costs little. */
const POLL_INTERVAL_MS = { min: 20, max: 400 };

interface EventuallyOptions {
  readonly boundMs?: number;
  readonly pollMsMax?: number;
}

/**
 * Resolves with the first value of `poll` that is neither undefined nor false. Rejects with any error of `poll`. A state that
 * passes quickly needs a short `pollMsMax`.
 */
export async function eventually<T>(
  condition: string,
  poll: () => Promise<T | undefined | false> | T | undefined | false,
  { boundMs = BOUND_MS, pollMsMax = POLL_INTERVAL_MS.max }: EventuallyOptions = {},
): Promise<T> {
  const startedMs = systemClock.monotonicMs();
  for (;;) {
    const value = await poll();
    if (value !== undefined && value !== false) return value;
    const waitedMs = systemClock.monotonicMs() - startedMs;
    if (waitedMs > boundMs) throw new Error(`condition not met within ${boundMs} ms: ${condition}`);
    await systemClock.sleep(Math.min(Math.max(waitedMs / 10, POLL_INTERVAL_MS.min), pollMsMax));
  }
}
