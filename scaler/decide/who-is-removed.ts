/**
 * Who is removed: only who holds nothing, and says so or cannot. PURE.
 *
 *   consent      every worker on it said drained, quoting the etag of the request that stands. Drained is for ever
 *   silence      never heard, or not any more, while others are; its drain request has stood all that time. A worker that reaches
 *                storage has found the request before its next batch; one that does not has lost its lease
 *   not-running  stopped, or so little made that it has no identity
 *
 * A worker that was heard to boot for ever may go like a silent one when its request has stood for a boot time-out: it looks for
 * the request before its first batch. Nobody goes while heartbeats or requests cannot be read.
 */
import type { Policy } from '../policy.ts';
import { blockOf, mayRemoveFrom } from './blocked-pools.ts';
import type { Action, DrainWhy, RemoveBasis, RemoveWhy } from './decision.ts';
import { keyOf } from './failing-boots.ts';
import type { Picture } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import { mayWrite } from './pool-choice.ts';
import type { Life, Standing } from './standing.ts';

/** More in one call are not worth the risk of its being refused. */
const REMOVED_AT_ONCE_MAX = 100;

/** It may have been asked for one reason and go for another: that nobody hears it is why it goes. */
const SILENT_WHYS: Partial<Readonly<Record<Life, DrainWhy>>> = {
  silent: 'silent',
  overdue: 'never-reported',
  failed: 'failed',
};

interface Going {
  readonly standing: Standing;
  readonly why: RemoveWhy;
  readonly basis: RemoveBasis;
}

export interface RemovalInputs {
  readonly picture: Picture;
  readonly memory: Memory;
  readonly policy: Policy;
  readonly atMs: number;
  /** Pools that are written to this tick already. */
  readonly taken: ReadonlySet<string>;
}

/** One call a pool: of those of one reason, as many as there are; the others at a later tick. */
export function removals(inputs: RemovalInputs): readonly Extract<Action, { kind: 'remove' }>[] {
  const { picture, memory, atMs, taken } = inputs;
  const going = picture.standings.flatMap((standing) => {
    const one = goingOf(standing, inputs);
    return one === null ? [] : [one];
  });
  return picture.pools.flatMap((one) => {
    const pool = one.pool.name;
    const isOpen = !taken.has(pool) && mayWrite(one, inputs) && mayRemoveFrom(blockOf(memory, pool), atMs);
    const own = going.filter(({ standing }) => standing.instance.pool === pool);
    const first = largestGroup(own);
    if (!isOpen || first === undefined) return [];
    const group = own
      .filter(({ why, basis }) => why === first.why && basis === first.basis)
      .slice(0, REMOVED_AT_ONCE_MAX);
    return [
      {
        kind: 'remove' as const,
        pool,
        instanceIds: group.map(({ standing }) => standing.instance.instanceId),
        vmIds: group.map(({ standing }) => standing.instance.vmId),
        why: first.why,
        basis: first.basis,
      },
    ];
  });
}

function goingOf(standing: Standing, { picture, memory, policy, atMs }: RemovalInputs): Going | null {
  const { life, draining, instance, unheardMs } = standing;
  if (life === 'leaving') return null;
  const remembered = Object.hasOwn(memory.drains, keyOf(standing))
    ? memory.drains[keyOf(standing)]
    : undefined;
  const why: RemoveWhy = remembered?.why ?? 'asked';
  if (life === 'not-running') {
    return { standing, why: instance.phase === 'failed' ? 'failed' : 'stopped', basis: 'not-running' };
  }
  if (draining === 'consented') return { standing, why, basis: 'consent' };
  if (picture.isFleetSilent) return null;
  // The cloud has given it no identity: nothing ever ran on it.
  if (life === 'overdue' && instance.vmId === null) {
    return { standing, why: 'never-reported', basis: 'not-running' };
  }
  const standsSinceMs = remembered?.standsSinceMs ?? null;
  const stoodMs = standsSinceMs === null ? 0 : atMs - standsSinceMs;
  const isUnheard = unheardMs === null || unheardMs >= policy.silentRemoveMs;
  const whySilent = SILENT_WHYS[life];
  if (whySilent !== undefined && isUnheard && stoodMs >= policy.silentRemoveMs) {
    return { standing, why: why === 'faulty' ? why : whySilent, basis: 'silence' };
  }
  if (life === 'unready' && stoodMs >= policy.bootTimeoutMs) {
    return { standing, why: 'never-ready', basis: 'silence' };
  }
  return null;
}

function largestGroup(going: readonly Going[]): Going | undefined {
  const sizes = new Map<string, number>();
  for (const { why, basis } of going) sizes.set(why + basis, (sizes.get(why + basis) ?? 0) + 1);
  return going.toSorted((a, b) => (sizes.get(b.why + b.basis) ?? 0) - (sizes.get(a.why + a.basis) ?? 0))[0];
}
