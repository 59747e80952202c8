/**
 * How many instances are added at this tick, and what keeps it from being more. PURE.
 *
 *   missing      desired, less those alive
 *   silent fleet nobody is heard for as long as a boot takes, and there is work: one scout, which will tell whose trouble it is
 *   boots fail   one at a time, when its turn has come
 *   room         the greatest capacity, less all machines there are or were promised; what the cloud could not give is room
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Demand } from './capacity-wanted.ts';
import { isDeadlineAtRisk } from './deadline.ts';
import { evictionsLately, isEvicting } from './evictions.ts';
import { bootRetryAtMs, isFailing } from './failing-boots.ts';
import type { Picture } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import { type Growth, growPools } from './pool-choice.ts';

export interface FleetGrowth extends Pick<Growth, 'actions' | 'added'> {
  /** Missing, before what may be added. */
  readonly need: number;
  readonly heldBy: Growth['heldBy'] | 'boots-fail';
  readonly isSpotEvicting: boolean;
  readonly isDeadlineAtRisk: boolean;
}

export function growFleet({
  observation,
  demand,
  desired,
  bootMs,
  picture,
  policy,
  memory,
}: {
  readonly observation: Observation;
  readonly demand: Demand;
  readonly desired: number;
  readonly bootMs: number;
  readonly picture: Picture;
  readonly policy: Policy;
  readonly memory: Memory;
}): FleetGrowth {
  const { atMs, fleet } = observation;
  const missing = Math.max(0, desired - picture.aliveCount);
  const need = missing === 0 && needsScout({ demand, picture, policy }) ? 1 : missing;
  const spotAlive = picture.pools
    .filter(({ pool }) => pool.kind === 'spot')
    .reduce((sum, { alive }) => sum + alive, 0);
  const isSpotEvicting = fleet !== null && isEvicting(evictionsLately(fleet, observation), spotAlive);
  const isLate = isDeadlineAtRisk(observation, { desired, bootMs, policy });
  const nothing = { need, actions: [], added: 0, isSpotEvicting, isDeadlineAtRisk: isLate };
  if (need === 0) return { ...nothing, heldBy: null };

  const mayBoot = bootsAllowed({ picture, policy, memory, atMs });
  if (mayBoot === 0) return { ...nothing, heldBy: 'boots-fail' };
  const room = policy.capacityMax - picture.committed;
  if (room < 0 || (room === 0 && picture.missing === 0)) return { ...nothing, heldBy: 'capacity' };
  const asked = Math.min(need, mayBoot);
  const growth = growPools({
    picture,
    need: asked,
    room,
    onDemandMin: Math.min(policy.onDemandBase, desired),
    isSpotEvicting,
    isDeadlineAtRisk: isLate,
    memory,
    policy,
    atMs,
  });
  return {
    need,
    actions: growth.actions,
    added: growth.added,
    heldBy: growth.heldBy ?? (asked < need ? 'boots-fail' : null),
    isSpotEvicting,
    isDeadlineAtRisk: isLate,
  };
}

/** Instances on their way: not heard yet, or asked for and not listed. */
function bootingOf({ alive, coming }: Pick<Picture, 'alive' | 'coming'>): number {
  return coming + alive.filter(({ life }) => life === 'booting').length;
}

function needsScout({
  demand,
  picture,
  policy,
}: {
  readonly demand: Demand;
  readonly picture: Picture;
  readonly policy: Policy;
}): boolean {
  return (
    picture.isFleetSilent &&
    picture.fleetSilentMs >= policy.bootTimeoutMs &&
    demand.wanted > 0 &&
    bootingOf(picture) === 0
  );
}

function bootsAllowed({
  picture,
  policy,
  memory,
  atMs,
}: {
  readonly picture: Picture;
  readonly policy: Policy;
  readonly memory: Memory;
  readonly atMs: number;
}): number {
  if (!isFailing(memory.boots, policy)) return Infinity;
  return bootingOf(picture) === 0 && atMs >= bootRetryAtMs(memory.boots, policy) ? 1 : 0;
}
