/**
 * Who is asked to drain because there are more instances than are wanted. PURE. Nobody is removed here: whoever is asked finishes
 * what he holds, and answers.
 *
 * Idle ones go when they have been idle for the idle window, as many as are not wanted: the dearest first, because that is what an
 * hour costs; of those the longest idle, because he is least likely to have taken something this moment. The base on demand stays. They go together: while another of them is about to be due, they are waited for, but not for longer than half a
 * window. So a wave of work that ends is one scale-in, though its instances fall idle one by one.
 *
 * Where work is thin, every idle instance gets a bit of it and none is idle for the whole window, for workers pull. Then it is
 * counted how many were not wanted at any time during two windows; so many go, whoever is idle at the moment.
 *
 * What a person asks for holds at once and for those at work too, who finish their batch first: idle ones, then those that boot,
 * then the busy.
 */
import type { Memory } from '../memory.ts';
import type { Policy } from '../policy.ts';
import { type Picture, priceOf } from './fleet-picture.ts';
import type { Standing } from './standing.ts';

export interface IdleInputs {
  readonly picture: Picture;
  /** How many are to stay. */
  readonly desired: number;
  readonly windowMs: number;
  readonly policy: Policy;
  readonly surplus: Memory['surplus'];
  readonly atMs: number;
}

export interface IdleGoing {
  readonly going: readonly Standing[];
  /** Not wanted, now. */
  readonly surplusNow: number;
  /** Of those, idle for long enough. */
  readonly due: number;
  readonly surplus: Memory['surplus'];
  /** In how long the next one is due; null where nobody is idle and not wanted. */
  readonly dueInMs: number | null;
}

export function idleWhoGo({ picture, desired, windowMs, policy, surplus, atMs }: IdleInputs): IdleGoing {
  const surplusNow = Math.max(0, picture.aliveCount - desired);
  const followed = followSurplus(surplus, surplusNow, atMs);
  const idle = picture.alive.filter(({ life }) => life === 'idle');
  const nothing = { going: [], surplusNow, due: 0, surplus: followed, dueInMs: null };
  if (surplusNow === 0 || idle.length === 0) return nothing;

  const byIdleness = idle.toSorted((a, b) => b.idleMs - a.idleMs).slice(0, surplusNow);
  const due = byIdleness.filter(({ idleMs }) => idleMs >= windowMs);
  const overdueMs = (byIdleness[0]?.idleMs ?? 0) - windowMs;
  const soonest = byIdleness.find(({ idleMs }) => idleMs < windowMs);
  const dueInMs = soonest === undefined ? null : windowMs - soonest.idleMs;
  if (due.length > 0 && (due.length === byIdleness.length || overdueMs >= windowMs / 2)) {
    // All that are due may go: whose turn it is among them is a matter of cost.
    const candidates = idle.filter(({ idleMs }) => idleMs >= windowMs);
    const going = withoutBase(dearestFirst(candidates, policy), { picture, desired, policy }).slice(
      0,
      surplusNow,
    );
    return { going, surplusNow, due: due.length, surplus: null, dueInMs };
  }
  const thinMs = followed === null ? 0 : atMs - followed.sinceMs;
  if (followed !== null && due.length === 0 && thinMs >= 2 * windowMs) {
    const going = withoutBase(dearestFirst(idle, policy), { picture, desired, policy }).slice(
      0,
      followed.least,
    );
    return { going, surplusNow, due: going.length, surplus: null, dueInMs };
  }
  return { ...nothing, due: due.length, dueInMs };
}

/** More than a person asked for. */
export function excessWhoGo({
  picture,
  ceiling,
  policy,
}: {
  readonly picture: Picture;
  readonly ceiling: number;
  readonly policy: Policy;
}): readonly Standing[] {
  const order = (life: Standing['life']): readonly Standing[] =>
    dearestFirst(
      picture.alive.filter((one) => one.life === life && one.instance.vmId !== null),
      policy,
    );
  const all = [...order('idle'), ...order('booting'), ...order('silent'), ...order('busy')];
  // Those that are coming and not listed cannot be asked yet: when they are, they go before the busy.
  return all.slice(0, Math.max(0, picture.alive.length - ceiling));
}

/** How many, at least, were not wanted since when. */
function followSurplus(before: Memory['surplus'], surplusNow: number, atMs: number): Memory['surplus'] {
  if (surplusNow === 0) return null;
  if (before === null || atMs < before.sinceMs) return { sinceMs: atMs, least: surplusNow };
  return { sinceMs: before.sinceMs, least: Math.min(before.least, surplusNow) };
}

function dearestFirst(candidates: readonly Standing[], policy: Policy): readonly Standing[] {
  const price = ({ instance }: Standing): number => priceOf(instance.pool, policy);
  return candidates.toSorted((a, b) => price(b) - price(a) || b.idleMs - a.idleMs);
}

/** The same candidates without those of the base on demand. */
function withoutBase(
  candidates: readonly Standing[],
  {
    picture,
    desired,
    policy,
  }: { readonly picture: Picture; readonly desired: number; readonly policy: Policy },
): readonly Standing[] {
  const pools = new Set(
    picture.pools.filter(({ pool }) => pool.kind === 'on-demand').map(({ pool }) => pool.name),
  );
  const isOnDemand = ({ instance }: Standing): boolean => pools.has(instance.pool);
  const there = picture.alive.filter(isOnDemand).length;
  const spare = Math.max(0, there - Math.min(policy.onDemandBase, desired));
  const onDemand = candidates.filter(isOnDemand);
  const base = new Set(onDemand.slice(spare));
  return candidates.filter((one) => !base.has(one));
}
