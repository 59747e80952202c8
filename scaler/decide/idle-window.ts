/**
 * For how long an idle instance is kept. PURE.
 *
 * For as long as it costs to start one: the measured cold start, within bounds. Source: the ski-rental problem (Karlin, Manasse,
 * Rudolph and Sleator, "Competitive Snoopy Caching", 1988): who rents until he has paid the price of skis, and buys then, never
 * pays more than twice what he would have paid knowing the future; nobody does better without a forecast.
 */
import type { Policy } from '../policy.ts';

/** Nothing boots in no time. */
const BOOT_MS_MIN = 1_000;

export function idleWindowMs(
  bootMs: number | null,
  { idleMsMin, idleMsMax, idleMsUnmeasured }: Pick<Policy, 'idleMsMin' | 'idleMsMax' | 'idleMsUnmeasured'>,
): number {
  return Math.min(idleMsMax, Math.max(idleMsMin, bootMs ?? idleMsUnmeasured));
}

/** What booting one takes, as far as it is known: as measured, and not taken for more than the longest window. */
export function bootTimeMs(
  bootMs: number | null,
  { idleMsMax, idleMsUnmeasured }: Pick<Policy, 'idleMsMax' | 'idleMsUnmeasured'>,
): number {
  return Math.min(idleMsMax, Math.max(BOOT_MS_MIN, bootMs ?? idleMsUnmeasured));
}
