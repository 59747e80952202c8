/**
 * Composes the decision from the planned actions: the one reason that says most, the steps of the calculation, the blockers and the
 * next event. PURE. Nothing is decided here.
 */
import { describeOverride } from '../override/document.ts';
import { localTimeText } from '../schedule.ts';
import { blockersOf } from './blockers.ts';
import { type CapacityBounds, type Demand, keptForSchedule } from './capacity.ts';
import type {
  DecisionStep,
  DrainAction,
  DrainReason,
  Reason,
  RemoveAction,
  ScalingDecision,
} from './decision.ts';
import type { DrainCandidate, InstanceState, LifeStage } from './instance-state.ts';
import { nextEventOf } from './next-event.ts';
import type { ScaleInPlan } from './scale-in.ts';
import type { ScaleOutPlan } from './scale-out.ts';
import { type Situation, busyCount, priceOf } from './situation.ts';

export interface PlannedActions {
  readonly unhealthy: readonly DrainCandidate[];
  readonly scaleOut: ScaleOutPlan;
  readonly scaleIn: ScaleInPlan;
  readonly removals: readonly RemoveAction[];
}

export function composeDecision(situation: Situation, planned: PlannedActions): ScalingDecision {
  const { scaleOut, scaleIn, removals } = planned;
  const drains = drainActions([...planned.unhealthy, ...scaleIn.candidates]);
  return {
    actions: [...scaleOut.actions, ...drains, ...removals],
    reason: reasonOf(situation, planned, drains),
    capacityDesired: Math.min(situation.desired, situation.policy.capacityMax, affordable(situation)),
    steps: stepsOf(situation, planned, drains),
    blockers: blockersOf(situation, scaleOut),
    next: nextEventOf(situation, scaleOut, scaleIn),
    numbers: numbersOf(situation, planned),
  };
}

/** The cloud cannot be read: nothing is known about the instances, and nothing is done. */
export function fleetUnknownDecision(
  { observation, memory }: Pick<Situation, 'observation' | 'memory'>,
  demand: Demand,
  bounds: CapacityBounds,
): ScalingDecision {
  const least = Math.max(bounds.floor, memory.capacityDesired);
  const capacityDesired = Math.min(bounds.ceiling, Math.max(least, demand.wanted));
  const { messagesApprox } = observation;
  return {
    actions: [],
    reason: 'fleet-unknown',
    capacityDesired,
    steps: [...demand.steps, boundsStep(bounds)],
    blockers: [],
    next: { kind: 'next-tick', at: null },
    numbers: {
      messagesApprox,
      ...workNumbers(demand),
      scheduled: bounds.scheduled.capacity,
      capacityDesired,
    },
  };
}

function drainActions(candidates: readonly DrainCandidate[]): readonly DrainAction[] {
  const byReason = new Map<DrainReason, string[]>();
  for (const { state, why } of candidates) {
    const { vmId } = state.instance;
    if (vmId !== null) byReason.set(why, [...(byReason.get(why) ?? []), vmId]);
  }
  return [...byReason].map(([why, vmIds]) => ({ kind: 'drain', vmIds, why }));
}

function reasonOf(situation: Situation, planned: PlannedActions, drains: readonly DrainAction[]): Reason {
  const { demand, bounds, desired } = situation;
  const { unhealthy, scaleOut, removals } = planned;
  if (scaleOut.actions.length > 0) {
    if (bounds.floorBy !== 'minimum' && bounds.floor > demand.wanted) return bounds.floorBy;
    return demand.wanted >= desired ? 'work-waits' : unhealthy.length > 0 ? 'replacing' : 'minimum';
  }
  const drainReasons = new Set(drains.map(({ why }) => why));
  if (drainReasons.has('override')) return 'override';
  if (drainReasons.has('idle')) return 'idle-too-long';
  if (drainReasons.size > 0 || removals.some(({ basis }) => basis === 'unresponsive')) return 'replacing';
  if (removals.some(({ basis }) => basis === 'drained')) return 'drained';
  if (removals.length > 0) return 'not-running';
  return scaleOut.missingInstances > 0 ? limitReason(scaleOut) : holdReason(situation, planned.scaleIn);
}

/** What prevents the scaler from adding the missing instances. */
function limitReason({ limitedBy }: ScaleOutPlan): Reason {
  switch (limitedBy) {
    case 'spending':
      return 'spending-reached';
    case 'capacity':
      return 'capacity-reached';
    case 'boots-fail':
    case 'asked-already':
      return limitedBy;
    case 'blocked':
    case null:
      return 'pools-blocked';
  }
}

/** Why nothing is done while no instance is missing. */
function holdReason(situation: Situation, scaleIn: ScaleInPlan): Reason {
  const { observation, policy, memory, demand, bounds, fleet } = situation;
  if (observation.workers === null || observation.drainRequests === null) return 'workers-unknown';
  if (fleet.isFleetSilent) return 'fleet-silent';
  if (!demand.isComplete) return 'work-unknown';
  if (bounds.isCeilingOverridden && bounds.ceiling < demand.wanted) return 'override';
  if (demand.wanted > policy.capacityMax) return 'capacity-reached';
  if (scaleIn.surplusNow > 0) return 'idle-window';
  if (demand.hasWork || busyCount(fleet) > 0) return 'enough-at-work';
  if (fleet.aliveCount === 0) return 'nothing-to-do';
  if (memory.zeroReadings < policy.zeroReadingsMin) return 'zero-not-confirmed';
  return bounds.floorBy === 'schedule' || keptForSchedule(situation) > bounds.floor ? 'schedule' : 'minimum';
}

/** How many instances the money per hour pays for: those there are, and more of the cheapest kind. */
function affordable({ fleet, policy }: Situation): number {
  const prices = fleet.pools.map(({ pool }) => priceOf(pool.name, policy));
  const cheapest = Math.min(Infinity, ...prices);
  if (policy.spendingPerHourMax === null || cheapest <= 0 || cheapest === Infinity) return Infinity;
  const left = Math.max(0, policy.spendingPerHourMax - fleet.spendingPerHour);
  return fleet.aliveCount + Math.floor(left / cheapest + 1e-9);
}

function stepsOf(
  situation: Situation,
  { scaleOut, scaleIn, removals }: PlannedActions,
  drains: readonly DrainAction[],
): readonly DecisionStep[] {
  const { policy, demand, bounds, fleet } = situation;
  const steps: DecisionStep[] = [...demand.steps, { name: 'busy', numbers: { instances: busyCount(fleet) } }];
  steps.push(...overrideSteps(bounds), ...scheduleSteps(situation), boundsStep(bounds));
  steps.push({ name: 'alive', numbers: { alive: fleet.aliveCount, total: fleet.committed } });
  if (policy.spendingPerHourMax !== null) {
    const { spendingPerHour: perHour } = fleet;
    steps.push({ name: 'spending', numbers: { perHour, perHourMax: policy.spendingPerHourMax } });
  }
  for (const { pool, total } of scaleOut.actions) {
    const summary = fleet.pools.find((one) => one.pool.name === pool);
    // Instances that were requested and not provided count as added again.
    const existing = summary === undefined ? 0 : summary.committed - summary.notProvided;
    steps.push({ name: 'grow', numbers: { added: total - existing, pool, total } });
  }
  if (scaleIn.surplusNow > 0) {
    const { surplusNow: surplus, due } = scaleIn;
    steps.push({ name: 'shrink', numbers: { surplus, due, windowSeconds: secondsOf(situation.windowMs) } });
  }
  for (const { vmIds, why } of drains)
    steps.push({ name: 'drain', numbers: { instances: vmIds.length, why } });
  for (const { pool, instanceIds, why } of removals) {
    steps.push({ name: 'remove', numbers: { instances: instanceIds.length, pool, why } });
  }
  return steps;
}

function overrideSteps({ override }: CapacityBounds): readonly DecisionStep[] {
  if (override === null) return [];
  const { mode, expiresAtMs } = override;
  const expiresAt = new Date(expiresAtMs).toISOString();
  if (mode === 'schedule') return [{ name: 'override-schedule', numbers: { expiresAt } }];
  return [{ name: 'override', numbers: { meaning: describeOverride(override), expiresAt } }];
}

function scheduleSteps(situation: Situation): readonly DecisionStep[] {
  const { bounds, bootMs } = situation;
  const { at, capacity, opening } = bounds.scheduled;
  const kept = keptForSchedule(situation);
  const keptSteps: readonly DecisionStep[] =
    kept > bounds.floor ? [{ name: 'schedule-kept', numbers: { instances: kept } }] : [];
  if (opening === null) return keptSteps;
  const { startsAt, endsAt, timeZone } = opening;
  const from = localTimeText(startsAt, at, timeZone);
  const until = localTimeText(endsAt, at, timeZone);
  return startsAt > at
    ? [{ name: 'schedule-ahead', numbers: { capacity, from, bootSeconds: secondsOf(bootMs) } }, ...keptSteps]
    : [{ name: 'schedule', numbers: { capacity, until } }, ...keptSteps];
}

function secondsOf(ms: number): number {
  return Math.round(ms / 1000);
}

function boundsStep({ floor, ceiling }: CapacityBounds): DecisionStep {
  return { name: 'bounds', numbers: { floor, ceiling } };
}

function workNumbers({ framesRemaining, engineSeconds, wanted }: Demand): Record<string, number | null> {
  return { framesRemaining, engineSecondsRemaining: engineSeconds, wanted };
}

function numbersOf(
  situation: Situation,
  { scaleOut, scaleIn }: PlannedActions,
): Record<string, number | null> {
  const { observation, memory, demand, bounds, fleet } = situation;
  const { instances } = fleet;
  const count = (is: (one: InstanceState) => boolean): number => instances.filter(is).length;
  const inStage = (stage: LifeStage): number => count(({ life }) => life === stage);
  return {
    messagesApprox: observation.messagesApprox,
    ...workNumbers(demand),
    scheduled: bounds.scheduled.capacity,
    instances: instances.length,
    alive: fleet.aliveCount,
    committed: fleet.committed,
    booting: inStage('booting') + fleet.coming,
    idle: count(({ life, draining }) => life === 'idle' && draining === 'none'),
    busy: busyCount(fleet),
    draining: count(({ draining }) => draining === 'requested' || draining === 'by-itself'),
    drained: count(({ draining }) => draining === 'drained'),
    silent: inStage('silent'),
    failedBoots: memory.boots.failures,
    missing: scaleOut.missingInstances,
    added: scaleOut.added,
    surplus: scaleIn.surplusNow,
    idleWindowSeconds: secondsOf(situation.windowMs),
    spendingPerHour: fleet.spendingPerHour,
  };
}
