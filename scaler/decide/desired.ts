/**
 * How many instances there should be: what the work wants, not fewer than are at work, within the bounds. PURE.
 *
 * Where it cannot be known that fewer are enough, as many as there are. Zero is believed when queue and ledger have read it so often
 * in a row with nobody busy.
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Bounds } from './bounds.ts';
import type { Demand } from './capacity-wanted.ts';
import type { Picture } from './fleet-picture.ts';
import type { Memory } from './memory.ts';

export interface Desired {
  readonly desired: number;
  readonly zeroReadings: number;
  /** Nothing seems left, and it is not believed yet: nobody is asked to go for it. */
  readonly isZeroDoubted: boolean;
}

export function desiredOf({
  observation,
  demand,
  bounds,
  picture,
  policy,
  memory,
}: {
  readonly observation: Observation;
  readonly demand: Demand;
  readonly bounds: Bounds;
  readonly picture: Picture;
  readonly policy: Policy;
  readonly memory: Memory;
}): Desired {
  const isAllRead = demand.isComplete && observation.workers !== null && observation.drainRequests !== null;
  const busy = busyOf(picture);
  const isZero = isAllRead && !demand.hasWork && busy === 0 && !picture.isFleetSilent;
  const zeroReadings = isZero ? Math.min(memory.zeroReadings + 1, policy.zeroReadingsMin) : 0;
  const isZeroDoubted = isZero && zeroReadings < policy.zeroReadingsMin;
  // A zero that is not believed may be a batch.
  const atWork = isZeroDoubted ? Math.min(1, picture.aliveCount) : busy;
  const least = isAllRead && !picture.isFleetSilent ? atWork : picture.aliveCount;
  const desired = Math.min(bounds.ceiling, Math.max(bounds.floor, demand.wanted, least));
  return { desired, zeroReadings, isZeroDoubted };
}

export function busyOf({ alive }: Pick<Picture, 'alive'>): number {
  return alive.filter(({ life }) => life === 'busy').length;
}
