/**
 * Decides how large the fleet should be, and which instances to drain or remove. PURE: an observation, the policy and the memory of
 * earlier ticks give a decision with its reason and every number that led to it. The loop, `explain` and the simulation all use it.
 *
 *   1. demand      engine-seconds of work / drain target, schedule and override        `capacity.ts`
 *   2. instances   the life stage of each instance                                     `instance-state.ts`
 *   3. memory      drains, boots, refusals and zeros brought up to date                `memory.ts`, `blocked-pools.ts`
 *   4. unhealthy   faulty, silent and never-ready instances drain and are replaced     `unhealthy-instances.ts`
 *   5. situation   the fleet as a whole, and the desired capacity                      `situation.ts`, `capacity.ts`
 *   6. scale out   missing instances, in one call per pool                             `scale-out.ts`
 *   7. scale in    instances that are idle for as long as a cold start takes drain     `scale-in.ts`
 *   8. removal     instances that have drained, or cannot hold a batch, are removed    `removal.ts`
 *   9. decision    the actions, with reason, steps, blockers and next event            `compose-decision.ts`, `blockers.ts`, `next-event.ts`
 *
 * The types of a decision, and the texts of its reasons, are in `decision.ts`.
 *
 * A missing reading never counts as zero. Without the fleet, nothing is done. Without heartbeats or drain requests, nothing is drained or
 * removed. Without the queue or the ledger, the other one may grow the fleet but never shrink it. Zero counts once both have read it
 * twice and no worker is busy. Capacity is never lowered: instances are removed by name, after they have reported that they are drained.
 *
 * Sources: KEDA's issues 1615, 2385 and 4478 (one number for both directions kills busy workers), Azure Functions (an empty peek does not
 * mean an empty queue), and the GitHub runner scalers (issue 5085: killed 13 s after its job began; PR 5228: fourteen in one incident).
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import { updateBlocks } from './blocked-pools.ts';
import {
  assessDemand,
  bootTimeMs,
  boundsOf,
  desiredCapacity,
  overrideToApply,
  idleWindowMs,
} from './capacity.ts';
import { composeDecision, fleetUnknownDecision } from './compose-decision.ts';
import type { ScalingDecision } from './decision.ts';
import { type DrainCandidate, type InstanceState, instanceState } from './instance-state.ts';
import {
  type Memory,
  addDrains,
  updateBoots,
  updateDrains,
  updateUnready,
  updateZeroReadings,
} from './memory.ts';
import { planRemovals } from './removal.ts';
import { planScaleIn } from './scale-in.ts';
import { planScaleOut } from './scale-out.ts';
import { type Situation, summarizeFleet } from './situation.ts';
import { unhealthyInstances } from './unhealthy-instances.ts';

export interface DecisionAndMemory {
  readonly decision: ScalingDecision;
  readonly memory: Memory;
}

export function decide(observation: Observation, policy: Policy, memory: Memory): DecisionAndMemory {
  const { fleet: snapshot, atMs } = observation;
  const override = overrideToApply(observation, memory);
  const bootMs = bootTimeMs(observation.bootMs, policy);
  const bounds = boundsOf(override, policy, { now: observation.scheduleAt ?? observation.now, bootMs });
  const demand = assessDemand(observation, policy, bootMs);
  if (snapshot === null) {
    return {
      decision: fleetUnknownDecision({ observation, memory }, demand, bounds),
      memory: { ...memory, zeroReadings: 0, override },
    };
  }

  const seen = snapshot.instances.map((instance) => instanceState(instance, observation, policy, memory));
  const drains = updateDrains(memory.drains, seen, observation);
  const before = summarizeFleet(snapshot, seen, observation, policy, memory);
  const areHeartbeatsKnown = observation.workers !== null && !before.isFleetSilent;
  const boots = areHeartbeatsKnown
    ? updateBoots({ boots: memory.boots, drains }, seen, atMs, policy)
    : memory.boots;
  const unhealthy = unhealthyInstances(before, observation, drains);
  const fleet = summarizeFleet(snapshot, markDrainRequested(seen, unhealthy), observation, policy, memory);
  const updated: Memory = {
    ...updateBlocks(memory, snapshot, atMs),
    zeroReadings: updateZeroReadings(memory.zeroReadings, { observation, policy, demand, fleet }),
    unreadySinceMs: updateUnready(memory.unreadySinceMs, seen, atMs),
    drains: addDrains(drains, unhealthy),
    boots,
    override,
  };

  const windowMs = idleWindowMs(observation.bootMs, policy);
  const known = { observation, policy, memory: updated, bootMs, windowMs, demand, bounds, fleet };
  const situation: Situation = { ...known, desired: desiredCapacity(known) };
  const scaleOut = planScaleOut(situation);
  const scaleIn = planScaleIn(situation, scaleOut.missingInstances > 0);
  const growing = scaleOut.actions.map(({ pool }) => pool);
  const removals = planRemovals(situation, new Set(growing));
  const decision = composeDecision(situation, { unhealthy, scaleOut, scaleIn, removals });

  const changed = [...growing, ...removals.map(({ pool }) => pool)];
  return {
    decision,
    memory: {
      ...updated,
      capacityDesired: decision.capacityDesired,
      surplus: scaleIn.surplus,
      drains: addDrains(updated.drains, scaleIn.candidates),
      changeRequestedAtMs: {
        ...memory.changeRequestedAtMs,
        ...Object.fromEntries(changed.map((pool) => [pool, atMs])),
      },
    },
  };
}

/** The instances, with a drain request for each unhealthy one: it does not count as capacity from this tick on. */
function markDrainRequested(
  instances: readonly InstanceState[],
  unhealthy: readonly DrainCandidate[],
): readonly InstanceState[] {
  const requested = new Set(unhealthy.map(({ state }) => state));
  return instances.map((one) =>
    requested.has(one) && one.draining !== 'drained' ? { ...one, draining: 'requested' as const } : one,
  );
}
