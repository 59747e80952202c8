/**
 * Which pools grow, and to what totals. PURE.
 *
 * Pools are filled in their order, spot before on demand, because the same machine costs a third there. On demand come first the
 * base that an eviction wave shall leave, all of it while a deadline is at risk, and then whatever a spot pool cannot give: because
 * it is blocked, or because it takes machines as fast as it gives them. What fits is taken at once. A pool in the middle of a change
 * is waited for. One whose capacity is more than its machines could not be given them all: those are asked for again by the same
 * total.
 *
 * Three bounds, checked for every instance added: machines in all, money an hour, and what refusals have told. All of them count
 * what has been asked for, whatever became of it.
 */
import type { Policy } from '../policy.ts';
import { blockOf, growthMax } from './blocked-pools.ts';
import type { Action } from './decision.ts';
import { type Picture, type PoolPicture, priceOf } from './fleet-picture.ts';
import type { Memory } from './memory.ts';

export interface Growth {
  readonly actions: readonly Extract<Action, { kind: 'scale-out' }>[];
  readonly added: number;
  /** What kept it from being more, nearest first; null where nothing did. */
  readonly heldBy: 'spending' | 'blocked' | 'asked-already' | 'capacity' | null;
}

export interface GrowthInputs {
  readonly picture: Picture;
  /** Instances to be added. */
  readonly need: number;
  /** Of them, how many may be new: what was promised before is within the greatest capacity already. */
  readonly room: number;
  /** How many of the fleet are to be on demand, at least. */
  readonly onDemandMin: number;
  readonly isSpotEvicting: boolean;
  /** A job may be late: on demand first. */
  readonly isDeadlineAtRisk: boolean;
  readonly memory: Memory;
  readonly policy: Policy;
  readonly atMs: number;
}

export function growPools(inputs: GrowthInputs): Growth {
  const { picture, need, room, onDemandMin, isSpotEvicting, isDeadlineAtRisk, memory, policy, atMs } = inputs;
  const onDemand = picture.pools.filter(({ pool }) => pool.kind === 'on-demand');
  const hasOnDemand = onDemand.length > 0;
  const missingBase = Math.max(0, onDemandMin - onDemand.reduce((sum, { alive }) => sum + alive, 0));
  const added = new Map<string, number>();
  let left = need;
  let roomLeft = room;
  let money = (policy.spendingPerHourMax ?? Infinity) - picture.spendingPerHour;
  let heldBy: Growth['heldBy'] = null;

  const add = ({ pool, committed, missing }: PoolPicture, wanted: number): void => {
    if (wanted <= 0) return;
    const block = blockOf(memory, pool.name);
    if (growthMax(block, committed, atMs) <= committed) {
      heldBy ??= 'blocked';
      return;
    }
    if (!mayWrite({ pool, committed }, inputs)) {
      heldBy ??= 'asked-already';
      return;
    }
    const before = added.get(pool.name) ?? 0;
    // What was asked for and not given is asked for again: it is in the total, and paid for in the guard, already.
    const promised = Math.max(0, missing - before);
    const fits = growthMax(block, committed, atMs) - committed - Math.max(0, before - missing) + promised;
    const price = priceOf(pool.name, policy);
    const affordable = price === 0 ? Infinity : money < 0 ? 0 : Math.floor(money / price + 1e-9) + promised;
    const bounds = { blocked: fits, spending: affordable, capacity: roomLeft + promised } as const;
    const granted = Math.max(0, Math.min(wanted, ...Object.values(bounds)));
    if (granted < wanted) heldBy ??= tightest(bounds);
    if (granted === 0) return;
    added.set(pool.name, before + granted);
    left -= granted;
    roomLeft -= Math.max(0, granted - promised);
    money -= Math.max(0, granted - promised) * price;
  };

  for (const one of onDemand) add(one, Math.min(left, missingBase - sumOf(added)));
  const others = picture.pools.filter((one) => !onDemand.includes(one));
  const inOrder = isDeadlineAtRisk ? [...onDemand, ...others] : picture.pools;
  for (const one of inOrder) {
    const isShunned = hasOnDemand && isSpotEvicting && one.pool.kind === 'spot';
    if (isShunned) continue;
    // A pool in the middle of a change is waited for: the next one would be asked for the same machines.
    if (isWaitedFor(one, inputs) && left > 0) {
      heldBy ??= 'asked-already';
      break;
    }
    add(one, left);
  }
  const actions = picture.pools.flatMap(({ pool, committed, missing }) => {
    const more = added.get(pool.name) ?? 0;
    const total = committed + Math.max(0, more - missing);
    return more > 0 ? [{ kind: 'scale-out' as const, pool: pool.name, total }] : [];
  });
  return { actions, added: need - left, heldBy: left > 0 ? heldBy : null };
}

function tightest(bounds: Readonly<Record<'blocked' | 'spending' | 'capacity', number>>) {
  const names = ['capacity', 'blocked', 'spending'] as const;
  return names.reduce((least, name) => (bounds[name] < bounds[least] ? name : least));
}

/** Whether a pool may be written to at all: it is not changing, and was not written to a moment ago. */
export function mayWrite(
  { pool }: Pick<PoolPicture, 'pool' | 'committed'>,
  { memory, policy, atMs }: Pick<GrowthInputs, 'memory' | 'policy' | 'atMs'>,
): boolean {
  if (pool.isChanging) return false;
  const askedAtMs = Object.hasOwn(memory.askedAtMs, pool.name) ? memory.askedAtMs[pool.name] : undefined;
  const sinceMs = askedAtMs === undefined ? Infinity : atMs - askedAtMs;
  // One that lies ahead is a clock that jumped.
  return sinceMs < 0 || sinceMs >= policy.writeEveryMs;
}

function isWaitedFor(one: PoolPicture, inputs: GrowthInputs): boolean {
  const block = blockOf(inputs.memory, one.pool.name);
  const isOpen = growthMax(block, one.committed, inputs.atMs) > one.committed;
  return isOpen && !mayWrite(one, inputs);
}

function sumOf(added: ReadonlyMap<string, number>): number {
  return [...added.values()].reduce((sum, one) => sum + one, 0);
}
