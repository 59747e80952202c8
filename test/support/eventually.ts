/**
 * Waits for a condition instead of sleeping: looks again and again, and fails with what was waited for when the bound is
 * over. The bound is for a hang, not for slowness: other work may share the cores.
 */
import { systemClock } from '../../shared/runtime/clock.ts';

const BOUND_MS = 90_000;
const LOOK_EVERY_MS = 20;

/** Resolves with the first value that is neither undefined nor false. What `look` throws is thrown. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { boundMs = BOUND_MS }: { readonly boundMs?: number } = {},
): Promise<T> {
  const deadlineMs = systemClock.monotonicMs() + boundMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`within ${boundMs} ms it never was so: ${what}`);
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}
