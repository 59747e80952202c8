/**
 * The idle rule against one that knows the future, and against five minutes for everybody. Costs are machine-time: idle, and booting
 * again. Gaps are the times between two batches of work for one machine.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { idleWindowMs } from '../../scaler/decide/scale-in.ts';
import { Dice } from '../simulation/simulator/dice.ts';
import { POLICY } from '../support/build-observation.ts';
import { seededRandom } from '../support/seeded-random.ts';

const FIXED_MS = 300_000;

/** Of one that keeps an idle machine for the window and boots another after that. */
function costOf(
  gapsMs: readonly number[],
  { windowMs, bootMs }: { readonly windowMs: number; readonly bootMs: number },
): number {
  return gapsMs.reduce((sum, gapMs) => sum + (gapMs <= windowMs ? gapMs : windowMs + bootMs), 0);
}

/** Of one that knows how long each gap will be. */
function clairvoyantCost(gapsMs: readonly number[], bootMs: number): number {
  return gapsMs.reduce((sum, gapMs) => sum + Math.min(gapMs, bootMs), 0);
}

const boots = fc.integer({ min: POLICY.idleMsMin, max: POLICY.idleMsMax });

test('idle and cold starts together cost at most twice what they would, knowing the future: for any gaps', () => {
  fc.assert(
    fc.property(
      boots,
      fc.array(fc.integer({ min: 1, max: 4_000_000 }), { minLength: 1 }),
      (bootMs, gapsMs) => {
        const own = costOf(gapsMs, { windowMs: idleWindowMs(bootMs, POLICY), bootMs });
        expect(own).toBeLessThanOrEqual(2 * clairvoyantCost(gapsMs, bootMs));
      },
    ),
  );
});

test('five minutes for everybody do not keep that promise, where a boot takes one or fifteen', () => {
  const ratio = (bootMs: number): number =>
    costOf([301_000], { windowMs: FIXED_MS, bootMs }) / clairvoyantCost([301_000], bootMs);
  expect([ratio(60_000), ratio(900_000)].map(Math.floor)).toEqual([6, 3]);
});

/**
 * Jobs as people send them: seven in ten follow within a session, some 20 s after the last, the others some 45 minutes later. A boot
 * takes one to five minutes, evenly over its order of magnitude, as with an image that has the driver in it; each time up to a fifth
 * more or less than was measured. (With an image that takes longer, and gaps of that kind, five minutes are cheaper, at the price of
 * the promise above.)
 */
function drawTrace(dice: Dice): { readonly bootMs: number; readonly gapsMs: readonly number[] } {
  const bootMs = dice.spread(60_000, 290_000);
  const gapsMs = Array.from({ length: 60 }, () => dice.wait(dice.chance(0.7) ? 20_000 : 2_700_000));
  return { bootMs, gapsMs };
}

test('it is cheaper than five minutes for everybody on nine of ten traces', () => {
  const dice = new Dice(seededRandom(15));
  const traces = Array.from({ length: 1_000 }, () => drawTrace(dice));
  const measured = traces.map(({ bootMs, gapsMs }) => {
    const windowMs = idleWindowMs(bootMs * dice.between(0.8, 1.2), POLICY);
    const own = costOf(gapsMs, { windowMs, bootMs });
    return {
      isCheaper: own < costOf(gapsMs, { windowMs: FIXED_MS, bootMs }),
      ratio: own / clairvoyantCost(gapsMs, bootMs),
    };
  });
  expect(measured.filter(({ isCheaper }) => isCheaper).length).toBeGreaterThanOrEqual(900);
  // Twice the clairvoyant's, and as much more as the measurement was off.
  expect(Math.max(...measured.map(({ ratio }) => ratio))).toBeLessThanOrEqual(2.2);
});
