/**
 * How large the fleet should be, and who goes. PURE: an observation, the policy and what was remembered give a decision with its
 * reason and every number that led to it. The same function answers in production, in `explain` and in simulation.
 *
 *   1. wanted    what the work wants: engine-seconds / drain target            `decide/capacity-wanted.ts`
 *   2. desired   not fewer than are busy, within the bounds, the override      `decide/bounds.ts`
 *   3. standing  where each instance is in its life                            `decide/standing.ts`, `decide/fleet-picture.ts`
 *   4. replaced  who is faulty, silent, or never came up is asked to drain     `decide/faulty-workers.ts`, `decide/failing-boots.ts`
 *   5. out       what is missing, in one call a pool                           `decide/pool-choice.ts`
 *   6. in        who has been idle for a cold start's length is asked to drain `decide/who-goes.ts`
 *   7. removed   who consented, or holds nothing because it does not run       `decide/who-is-removed.ts`
 *
 * A reading that is missing is never taken for zero. Without the fleet nothing is done; without the heartbeats or the drain requests
 * nobody goes; without the queue or the ledger the other may grow the fleet and never shrink it; zero is believed when both read it
 * twice and nobody is busy. Capacity is never lowered: named instances are removed, after they have said that they hold nothing.
 *
 * Sources: the bounds and the clean split of signals after KEDA's issues 1615, 2385 and 4478 (one number for both directions kills
 * busy workers) and Azure Functions' (an empty peek is not an empty queue); removal by name and consent after the GitHub runner
 * scalers (5085: killed 13 s after its job began; PR 5228: fourteen in one incident); the rest in the files.
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import { followPools } from './blocked-pools.ts';
import { boundsOf, overrideInForce } from './bounds.ts';
import { capacityWanted } from './capacity-wanted.ts';
import { conclude, fleetUnknown } from './conclude.ts';
import type { Decision } from './decision.ts';
import { desiredOf } from './desired.ts';
import { followBoots } from './failing-boots.ts';
import { pictureOf } from './fleet-picture.ts';
import { growFleet } from './grow-fleet.ts';
import { bootTimeMs, idleWindowMs } from './idle-window.ts';
import type { Memory } from './memory.ts';
import type { Plan } from './plan.ts';
import { followDrains, followUnready, withDrains } from './remembered-drains.ts';
import { shrinkFleet } from './shrink-fleet.ts';
import { standingOf } from './standing.ts';
import { toBeReplaced } from './to-be-replaced.ts';
import { removals } from './who-is-removed.ts';

export interface Decided {
  readonly decision: Decision;
  readonly memory: Memory;
}

export function decide(observation: Observation, policy: Policy, memory: Memory): Decided {
  const { fleet, atMs, now, drainRequests } = observation;
  const override = overrideInForce(observation, memory);
  const bounds = boundsOf(override, policy);
  const windowMs = idleWindowMs(observation.bootMs, policy);
  const bootMs = bootTimeMs(observation.bootMs, policy);
  const demand = capacityWanted(observation, { policy, bootMs });
  if (fleet === null) {
    return {
      decision: fleetUnknown({ demand, bounds, observation, memory }),
      memory: { ...memory, zeroReadings: 0, override },
    };
  }

  const pools = followPools(memory, fleet, atMs);
  const seen = fleet.instances.map((one) => standingOf(one, observation, { now, atMs, policy, memory }));
  const unreadySinceMs = followUnready(memory.unreadySinceMs, seen, atMs);
  const drains = followDrains(memory.drains, seen, { drainRequests, atMs });
  const before = pictureOf(fleet, seen, { policy, atMs, askedAtMs: memory.askedAtMs });
  const boots =
    observation.workers === null || before.isFleetSilent
      ? memory.boots
      : followBoots({ boots: memory.boots, drains }, seen, { atMs, policy });

  const replaced = toBeReplaced(before, { observation, drains });
  const going = new Set(replaced.map(({ standing }) => standing));
  const standings = seen.map((one) =>
    going.has(one) && one.draining !== 'consented' ? { ...one, draining: 'asked' as const } : one,
  );
  const picture = pictureOf(fleet, standings, { policy, atMs, askedAtMs: memory.askedAtMs });

  const { desired, zeroReadings, isZeroDoubted } = desiredOf({
    observation,
    demand,
    bounds,
    picture,
    policy,
    memory,
  });
  const known: Memory = {
    ...pools,
    zeroReadings,
    unreadySinceMs,
    drains: withDrains(drains, replaced),
    boots,
    override,
  };
  const growth = growFleet({ observation, demand, desired, bootMs, picture, policy, memory: known });
  const shrink = shrinkFleet({
    observation,
    demand,
    bounds,
    desired,
    windowMs,
    picture,
    policy,
    memory: known,
    isGrowing: growth.need > 0,
    isZeroDoubted,
  });
  const taken = new Set(growth.actions.map(({ pool }) => pool));
  const removed =
    observation.workers === null || drainRequests === null
      ? []
      : removals({ picture, memory: known, policy, atMs, taken });

  const plan: Plan = {
    observation,
    policy,
    demand,
    bounds,
    windowMs,
    picture,
    desired,
    replaced,
    growth,
    shrink,
    removed,
  };
  const written = [...taken, ...removed.map(({ pool }) => pool)];
  const remembered: Memory = {
    ...known,
    surplus: shrink.surplus,
    drains: withDrains(known.drains, shrink.asked),
    askedAtMs: { ...memory.askedAtMs, ...Object.fromEntries(written.map((pool) => [pool, atMs])) },
  };
  const decision = conclude(plan, remembered);
  return { decision, memory: { ...remembered, capacityDesired: decision.capacityDesired } };
}
