/** What the scaler waits for, the soonest first. PURE. */
import { blockOf, isOn } from './blocked-pools.ts';
import type { Next } from './decision.ts';
import { bootRetryAtMs } from './failing-boots.ts';
import type { Memory } from './memory.ts';
import type { Plan } from './plan.ts';

export function nextOf(plan: Plan, memory: Memory): Next {
  const { observation, policy, bounds, picture, growth, shrink } = plan;
  const { atMs, now } = observation;
  const candidates: { readonly kind: Next['kind']; readonly inMs: number }[] = [];
  if (growth.need > growth.added) {
    for (const { pool } of picture.pools) {
      const block = blockOf(memory, pool.name);
      if (block !== null && isOn(block, atMs)) {
        candidates.push({ kind: 'pool-asked-again', inMs: block.untilMs - atMs });
      }
    }
    if (growth.heldBy === 'boots-fail') {
      candidates.push({ kind: 'boot-tried-again', inMs: bootRetryAtMs(memory.boots, policy) - atMs });
    }
  }
  if (shrink.dueInMs !== null) candidates.push({ kind: 'idle-drained', inMs: shrink.dueInMs });
  if (bounds.override !== null) {
    candidates.push({ kind: 'override-ends', inMs: bounds.override.expiresAtMs - now.getTime() });
  }
  for (const { life, unheardMs, instance } of picture.standings) {
    if (life === 'booting' && unheardMs === null) {
      const ageMs = now.getTime() - instance.createdAt.getTime();
      candidates.push({ kind: 'boot-overdue', inMs: policy.bootTimeoutMs - ageMs });
    }
  }
  for (const { standsSinceMs } of picture.silent.map(({ instance }) => drainOf(memory, instance.vmId))) {
    if (standsSinceMs === null) continue;
    candidates.push({ kind: 'silent-removed', inMs: standsSinceMs + policy.silentRemoveMs - atMs });
  }
  const ahead = candidates.filter(({ inMs }) => inMs > 0).toSorted((a, b) => a.inMs - b.inMs);
  const [soonest] = ahead;
  if (soonest === undefined) return { kind: 'next-tick', at: null };
  return { kind: soonest.kind, at: new Date(now.getTime() + soonest.inMs) };
}

function drainOf({ drains }: Memory, vmId: string | null): { readonly standsSinceMs: number | null } {
  const found = vmId !== null && Object.hasOwn(drains, vmId) ? drains[vmId] : undefined;
  return found ?? { standsSinceMs: null };
}
