/**
 * Waits for a condition instead of sleeping: looks again and again, and fails with what was waited for when the bound is
 * over. The bound is for a hang, not for slowness: other work may share the cores.
 */
import { systemClock } from '../../shared/runtime/clock.ts';

const BOUND_MS = 90_000;
/** From one look to the next: a tenth of what has been waited for so far, so that a long wait costs little. */
const LOOK_EVERY_MS = { min: 20, max: 400 };

/** Resolves with the first value that is neither undefined nor false. What `look` throws is thrown. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { boundMs = BOUND_MS }: { readonly boundMs?: number } = {},
): Promise<T> {
  const startedMs = systemClock.monotonicMs();
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    const waitedMs = systemClock.monotonicMs() - startedMs;
    if (waitedMs > boundMs) throw new Error(`within ${boundMs} ms it never was so: ${what}`);
    await systemClock.sleep(Math.min(Math.max(waitedMs / 10, LOOK_EVERY_MS.min), LOOK_EVERY_MS.max));
  }
}
