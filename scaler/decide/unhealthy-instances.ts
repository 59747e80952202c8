/**
 * Instances that drain although there is work for them: faulty, silent, or never up. PURE.
 *
 * An instance that is asked to drain no longer counts as capacity, so another one starts at once. A drain request that could not be
 * written is decided again at the next tick. An instance that drained for a notice (an eviction, a reboot) and still exists long after it
 * is asked to drain as well: it takes no more batches, but costs money.
 *
 * A worker is faulty if most of its recent attempts failed while those of the others succeeded. Where all workers fail, the cause is the
 * job or the model. After Flamenco's block list and Deadline's bad list, with a share in place of a count alone.
 */
import type { Observation } from '../observe/observation.ts';
import type { DrainReason } from './decision.ts';
import { type DrainCandidate, type InstanceState, instanceKey } from './instance-state.ts';
import { type Memory, drainOf } from './memory.ts';
import type { FleetSummary } from './situation.ts';

/** Longer than any notice and the reboot after it. */
const NOTICE_MS_MAX = 1_200_000;

/** A faulty worker failed at least this often, and in more than this share of its attempts. Workers report ten minutes of attempts. */
const FAILED_MIN = 10;
const FAILED_SHARE_MIN = 0.5;
/** Meanwhile the others made at least this many attempts together, and failed in no more than this share of them. */
const OTHERS_ATTEMPTS_MIN = 10;
const OTHERS_FAILED_SHARE_MAX = 0.1;
/** Share of the fleet that may drain as faulty at once, but always one: a wrong verdict must not cost the fleet. */
const DRAINING_SHARE_MAX = 0.1;

/** All unhealthy instances without a drain request. Those without a vmId cannot get one, but are remembered. */
export function unhealthyInstances(
  fleet: FleetSummary,
  { workers, drainRequests }: Observation,
  drains: Memory['drains'],
): readonly DrainCandidate[] {
  if (workers === null || drainRequests === null || fleet.isFleetSilent) return [];
  const drainingAsFaulty = fleet.instances.filter(
    (state) => drainOf(drains, instanceKey(state))?.why === 'faulty',
  ).length;
  const faulty = new Set(faultyInstances(fleet.alive, drainingAsFaulty));
  const silent = new Set(fleet.silent);
  const reasonFor = (state: InstanceState): DrainReason | null => {
    if (state.life === 'overdue') return 'never-reported';
    if (state.life === 'failed') return 'failed';
    if (state.life === 'unready') return 'never-ready';
    if (silent.has(state)) return 'silent';
    if (faulty.has(state)) return 'faulty';
    const { draining, life, idleMs } = state;
    return draining === 'by-itself' && life === 'idle' && idleMs > NOTICE_MS_MAX ? 'by-itself' : null;
  };
  return fleet.instances.flatMap((state) => {
    const { draining, instance } = state;
    if (draining === 'drained' || (instance.vmId !== null && drainRequests.has(instance.vmId))) return [];
    const why = reasonFor(state);
    return why === null ? [] : [{ state, why }];
  });
}

function faultyInstances(
  alive: readonly InstanceState[],
  drainingAsFaulty: number,
): readonly InstanceState[] {
  const suspects = alive.filter(
    ({ recentFailed, recentStored }) =>
      recentFailed >= FAILED_MIN && recentFailed > FAILED_SHARE_MIN * (recentFailed + recentStored),
  );
  if (suspects.length === 0) return [];
  const others = alive.filter((one) => !suspects.includes(one) && attemptsOf(one) > 0);
  const failed = others.reduce((sum, one) => sum + one.recentFailed, 0);
  const attempts = others.reduce((sum, one) => sum + attemptsOf(one), 0);
  const doOthersSucceed =
    others.length >= suspects.length &&
    attempts >= OTHERS_ATTEMPTS_MIN &&
    failed <= OTHERS_FAILED_SHARE_MAX * attempts;
  if (!doOthersSucceed) return [];
  const room = Math.max(1, Math.floor(alive.length * DRAINING_SHARE_MAX)) - drainingAsFaulty;
  return suspects
    .toSorted((a, b) => failedShareOf(b) - failedShareOf(a) || b.recentFailed - a.recentFailed)
    .slice(0, Math.max(0, room));
}

function attemptsOf({ recentStored, recentFailed }: InstanceState): number {
  return recentStored + recentFailed;
}

function failedShareOf(state: InstanceState): number {
  return state.recentFailed / Math.max(1, attemptsOf(state));
}
