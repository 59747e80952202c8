/** The event that comes first if nothing else changes: what the scaler waits for. PURE. */
import { blockOf, isBlockActive } from './blocked-pools.ts';
import type { NextEvent } from './decision.ts';
import { bootRetryAtMs, drainOf } from './memory.ts';
import type { ScaleInPlan } from './scale-in.ts';
import type { ScaleOutPlan } from './scale-out.ts';
import type { Situation } from './situation.ts';

export function nextEventOf(situation: Situation, scaleOut: ScaleOutPlan, scaleIn: ScaleInPlan): NextEvent {
  const { observation, policy, memory, bounds, fleet } = situation;
  const { atMs, now } = observation;
  const events: (Omit<NextEvent, 'at'> & { readonly inMs: number })[] = [];
  if (scaleOut.missingInstances > scaleOut.added) {
    for (const { pool } of fleet.pools) {
      const block = blockOf(memory, pool.name);
      if (block !== null && isBlockActive(block, atMs)) {
        events.push({ kind: 'pool-asked-again', inMs: block.untilMs - atMs });
      }
    }
    if (scaleOut.limitedBy === 'boots-fail') {
      events.push({ kind: 'boot-tried-again', inMs: bootRetryAtMs(memory.boots, policy) - atMs });
    }
  }
  if (scaleIn.dueInMs !== null) events.push({ kind: 'idle-drained', inMs: scaleIn.dueInMs });
  if (bounds.override !== null) {
    events.push({ kind: 'override-ends', inMs: bounds.override.expiresAtMs - now.getTime() });
  }
  const { next: change } = bounds.scheduled;
  if (change !== null) {
    const { timeZone, at } = change;
    const kind = change.kind === 'start' ? 'schedule-starts' : 'schedule-ends';
    events.push({ kind, inMs: at.getTime() - now.getTime(), timeZone });
  }
  for (const { life, heartbeatAgeMs, instance } of fleet.instances) {
    if (life === 'booting' && heartbeatAgeMs === null) {
      const ageMs = now.getTime() - instance.createdAt.getTime();
      events.push({ kind: 'boot-overdue', inMs: policy.bootTimeoutMs - ageMs });
    }
  }
  for (const { instance } of fleet.silent) {
    const drain = instance.vmId === null ? undefined : drainOf(memory.drains, instance.vmId);
    if (drain === undefined || drain.requestSeenAtMs === null) continue;
    events.push({ kind: 'silent-removed', inMs: drain.requestSeenAtMs + policy.silentRemoveMs - atMs });
  }
  const [soonest] = events.filter(({ inMs }) => inMs > 0).toSorted((a, b) => a.inMs - b.inMs);
  if (soonest === undefined) return { kind: 'next-tick', at: null };
  const { inMs, ...event } = soonest;
  return { ...event, at: new Date(now.getTime() + inMs) };
}
