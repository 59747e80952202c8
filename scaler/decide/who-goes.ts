/**
 * Who is asked to drain because there are more instances than are wanted. PURE. Nobody is removed here: whoever is asked finishes
 * what he holds, and answers.
 *
 * Idle ones go when they have been idle for the idle window, as many as are not wanted: the dearest first, because that is what an
 * hour costs; of those the longest idle, because he is least likely to have taken something this moment. The base on demand stays.
 * They go together: while another of them is about to be due, they are waited for, but not for longer than half a window, or a
 * minute where that is less than one. So a wave of work that ends is one scale-in, though its instances fall idle one by one.
 *
 * Where work is thin, every idle instance gets a bit of it and none is idle for the whole window, for workers pull. Then it is
 * counted how many the work did not want at any time, though all were busy now and then: for two windows, and two drain targets, so
 * that the end of a wave is not taken for it. So many go, whoever is idle at the moment.
 *
 * While there is work, less than a fifth of the fleet is not worth a scale-in, until it has been idle for two windows: the next wave
 * may want one more or less.
 *
 * What a person asks for holds at once and for those at work too, who finish their batch first: idle ones, then those that boot,
 * then the busy.
 */
import { BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';
import type { Policy } from '../policy.ts';
import { type Picture, priceOf } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import type { Standing } from './standing.ts';

/** Workers that shared the last of the work fall idle within about two batches. */
const SPREAD_MS = 2 * BATCH_TARGET_SECONDS * 1_000;

/** While there is work, fewer of the fleet than this are not worth a scale-in: the next wave may want one more or less. */
const WORTH_SHARE_MIN = 0.2;

export interface IdleInputs {
  readonly picture: Picture;
  /** How many are to stay. */
  readonly desired: number;
  /** The same, without regard to how many happen to be busy. */
  readonly wanted: number;
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

export function idleWhoGo(inputs: IdleInputs): IdleGoing {
  const { picture, desired, wanted, windowMs, policy, surplus, atMs } = inputs;
  const surplusNow = Math.max(0, picture.aliveCount - desired);
  const thinAfterMs = 2 * Math.max(windowMs, policy.drainTargetMs);
  const unwanted = Math.max(0, picture.aliveCount - wanted);
  const followed = followSurplus(surplus, { unwanted, atMs, thinAfterMs });
  const idle = picture.alive.filter(({ life }) => life === 'idle');
  const byIdleness = idle.toSorted((a, b) => b.idleMs - a.idleMs).slice(0, surplusNow);
  const due = byIdleness.filter(({ idleMs }) => idleMs >= windowMs);
  const soonest = byIdleness.find(({ idleMs }) => idleMs < windowMs);
  const overdueMs = (byIdleness[0]?.idleMs ?? 0) - windowMs;
  const isFew = (count: number): boolean => wanted > 0 && count < WORTH_SHARE_MIN * picture.aliveCount;
  const isWaitedFor =
    (soonest !== undefined && overdueMs < Math.max(windowMs / 2, SPREAD_MS)) ||
    (isFew(surplusNow) && overdueMs < windowMs);
  const thinMs = wanted > 0 && followed !== null ? atMs - followed.sinceMs - thinAfterMs : -1;
  // There is a moment when enough of them are idle, mostly.
  const isMoment = thinMs >= 0 && (idle.length >= (followed?.least ?? 0) || thinMs >= thinAfterMs / 4);
  const thin = isMoment && followed !== null && !isFew(followed.least) ? followed.least : 0;

  // All that have been idle for long enough are candidates: who of them goes is a matter of cost.
  const candidates = thin > 0 ? idle : idle.filter(({ idleMs }) => idleMs >= windowMs);
  const goingMax = Math.min(surplusNow, Math.max(thin, isWaitedFor ? 0 : due.length));
  const going = withoutBase(dearestFirst(candidates, policy), inputs).slice(0, goingMax);
  const least = (followed?.least ?? 0) - going.length;
  return {
    going,
    surplusNow,
    due: due.length,
    surplus: followed === null || least <= 0 ? null : { ...followed, least },
    dueInMs: soonest === undefined ? null : windowMs - soonest.idleMs,
  };
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

/** How many, at least, the work has not wanted since when. Counted anew now and then, so that an old peak is forgotten. */
function followSurplus(
  before: Memory['surplus'],
  {
    unwanted,
    atMs,
    thinAfterMs,
  }: { readonly unwanted: number; readonly atMs: number; readonly thinAfterMs: number },
): Memory['surplus'] {
  if (unwanted === 0) return null;
  const sinceMs = before === null ? Infinity : atMs - before.sinceMs;
  if (before === null || sinceMs < 0 || sinceMs > 2 * thinAfterMs) return { sinceMs: atMs, least: unwanted };
  return { sinceMs: before.sinceMs, least: Math.min(before.least, unwanted) };
}

function dearestFirst(candidates: readonly Standing[], policy: Policy): readonly Standing[] {
  const price = ({ instance }: Standing): number => priceOf(instance.pool, policy);
  return candidates.toSorted((a, b) => price(b) - price(a) || b.idleMs - a.idleMs);
}

/** The same candidates without those of the base on demand. */
function withoutBase(
  candidates: readonly Standing[],
  { picture, desired, policy }: Pick<IdleInputs, 'picture' | 'desired' | 'policy'>,
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
