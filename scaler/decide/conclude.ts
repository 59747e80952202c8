/**
 * Puts a decision together from its parts: the actions, the one reason that says most, the steps of the sum, what stands in the
 * way, and what comes next. PURE. Nothing is decided here.
 */
import { blockersOf } from './blockers.ts';
import type { Bounds } from './bounds.ts';
import type { Demand } from './capacity-wanted.ts';
import type { Action, Decision, DrainWhy, Reason, Step } from './decision.ts';
import { busyOf } from './desired.ts';
import { priceOf } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import { nextOf } from './next.ts';
import type { Plan } from './plan.ts';
import type { Life, Standing } from './standing.ts';
import type { Asked } from './to-be-replaced.ts';

export function conclude(plan: Plan, memory: Memory): Decision {
  const { growth, removed, policy } = plan;
  const drains = drainActions([...plan.replaced, ...plan.shrink.asked]);
  return {
    actions: [...growth.actions, ...drains, ...removed],
    reason: reasonOf(plan, drains, memory),
    capacityDesired: Math.min(plan.desired, policy.capacityMax, affordable(plan)),
    steps: stepsOf(plan, drains),
    blockers: blockersOf(plan, memory),
    next: nextOf(plan, memory),
    numbers: numbersOf(plan, memory),
  };
}

/** The cloud cannot be read: nothing is done, and nothing is known of who is there. */
export function fleetUnknown({
  demand,
  bounds,
  observation,
  memory,
}: Pick<Plan, 'demand' | 'bounds' | 'observation'> & { readonly memory: Memory }): Decision {
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
    numbers: { messagesApprox, ...workNumbers(demand), capacityDesired },
  };
}

function drainActions(asked: readonly Asked[]): readonly Extract<Action, { kind: 'drain' }>[] {
  const byWhy = new Map<DrainWhy, string[]>();
  for (const { standing, why } of asked) {
    const { vmId } = standing.instance;
    if (vmId !== null) byWhy.set(why, [...(byWhy.get(why) ?? []), vmId]);
  }
  return [...byWhy].map(([why, vmIds]) => ({ kind: 'drain', vmIds, why }));
}

function reasonOf(plan: Plan, drains: readonly Extract<Action, { kind: 'drain' }>[], memory: Memory): Reason {
  const { observation, policy, demand, bounds, picture, desired, growth, shrink, removed } = plan;
  if (growth.actions.length > 0) {
    if (bounds.override !== null && bounds.floor > demand.wanted) return 'override';
    return demand.wanted >= desired ? 'work-waits' : plan.replaced.length > 0 ? 'replacing' : 'minimum';
  }
  const whys = new Set(drains.map(({ why }) => why));
  if (whys.has('override')) return 'override';
  if (whys.has('idle')) return 'idle-too-long';
  if (whys.size > 0 || removed.some(({ basis }) => basis === 'silence')) return 'replacing';
  if (removed.some(({ basis }) => basis === 'consent')) return 'drained';
  if (removed.length > 0) return 'not-running';

  if (growth.need > 0) {
    switch (growth.heldBy) {
      case 'spending':
        return 'spending-reached';
      case 'boots-fail':
        return 'boots-fail';
      case 'capacity':
        return 'capacity-reached';
      case 'asked-already':
        return 'asked-already';
      case 'blocked':
      case null:
        return 'pools-blocked';
    }
  }
  if (observation.workers === null || observation.drainRequests === null) return 'workers-unknown';
  if (picture.isFleetSilent) return 'fleet-silent';
  if (!demand.isComplete) return 'work-unknown';
  if (bounds.isCeilingAsked && bounds.ceiling < demand.wanted) return 'override';
  if (demand.wanted > policy.capacityMax) return 'capacity-reached';
  if (shrink.surplusNow > 0) return 'idle-window';
  if (demand.hasWork || busyOf(picture) > 0) return 'enough-at-work';
  if (picture.aliveCount === 0) return 'nothing-to-do';
  return memory.zeroReadings < policy.zeroReadingsMin ? 'zero-not-confirmed' : 'minimum';
}

/** As many as can be paid for: those there are, and more of the cheapest. */
function affordable({ picture, policy }: Plan): number {
  const prices = picture.pools.map(({ pool }) => priceOf(pool.name, policy));
  const cheapest = Math.min(Infinity, ...prices);
  if (policy.spendingPerHourMax === null || cheapest <= 0 || cheapest === Infinity) return Infinity;
  const left = Math.max(0, policy.spendingPerHourMax - picture.spendingPerHour);
  return picture.aliveCount + Math.floor(left / cheapest + 1e-9);
}

function stepsOf(plan: Plan, drains: readonly Extract<Action, { kind: 'drain' }>[]): readonly Step[] {
  const { demand, bounds, picture, policy, growth, shrink, removed, windowMs } = plan;
  const { override } = bounds;
  const steps: Step[] = [...demand.steps, { name: 'busy', numbers: { instances: busyOf(picture) } }];
  if (override !== null) {
    const { mode, capacity, expiresAtMs } = override;
    const expiresAt = new Date(expiresAtMs).toISOString();
    steps.push({ name: 'override', numbers: { mode, capacity: capacity ?? 0, expiresAt } });
  }
  steps.push(boundsStep(bounds));
  steps.push({ name: 'alive', numbers: { alive: picture.aliveCount, total: picture.committed } });
  if (policy.spendingPerHourMax !== null) {
    const { spendingPerHour: perHour } = picture;
    steps.push({ name: 'spending', numbers: { perHour, perHourMax: policy.spendingPerHourMax } });
  }
  for (const { pool, total } of growth.actions) {
    const found = picture.pools.find((one) => one.pool.name === pool);
    // Machines that were asked for and never came are asked for again.
    const standing = found === undefined ? 0 : found.committed - found.missing;
    steps.push({ name: 'grow', numbers: { added: total - standing, pool, total } });
  }
  if (shrink.surplusNow > 0) {
    const { surplusNow: surplus, due } = shrink;
    steps.push({ name: 'shrink', numbers: { surplus, due, windowSeconds: Math.round(windowMs / 1000) } });
  }
  for (const { vmIds, why } of drains)
    steps.push({ name: 'drain', numbers: { instances: vmIds.length, why } });
  for (const { pool, instanceIds, why } of removed) {
    steps.push({ name: 'remove', numbers: { instances: instanceIds.length, pool, why } });
  }
  return steps;
}

function boundsStep({ floor, ceiling }: Bounds): Step {
  return { name: 'bounds', numbers: { floor, ceiling } };
}

function workNumbers({ framesRemaining, engineSeconds, wanted }: Demand): Record<string, number | null> {
  return { framesRemaining, engineSecondsRemaining: engineSeconds, wanted };
}

function numbersOf(plan: Plan, memory: Memory): Record<string, number | null> {
  const { observation, demand, picture, growth, shrink, windowMs } = plan;
  const { standings } = picture;
  const lives = (life: Life): number => standings.filter((one) => one.life === life).length;
  const count = (is: (one: Standing) => boolean): number => standings.filter(is).length;
  return {
    messagesApprox: observation.messagesApprox,
    ...workNumbers(demand),
    instances: standings.length,
    alive: picture.aliveCount,
    committed: picture.committed,
    booting: lives('booting') + picture.coming,
    idle: count(({ life, draining }) => life === 'idle' && draining === 'none'),
    busy: busyOf(picture),
    draining: count(({ draining }) => draining === 'asked' || draining === 'by-itself'),
    drained: count(({ draining }) => draining === 'consented'),
    silent: lives('silent'),
    failedBoots: memory.boots.failures,
    missing: growth.need,
    added: growth.added,
    surplus: shrink.surplusNow,
    idleWindowSeconds: Math.round(windowMs / 1000),
    spendingPerHour: picture.spendingPerHour,
  };
}
