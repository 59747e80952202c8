/**
 * Who is asked to drain though there is work for him: at fault, silent, or never came up. PURE.
 *
 * He is no capacity from then on, so another is started at once. A request that could not be written is decided on again. A machine
 * that drained for a notice (an eviction, a reboot) and is there long after it is asked as well: it takes nothing any more, and costs.
 */
import type { Observation } from '../observe/observation.ts';
import type { DrainWhy } from './decision.ts';
import { keyOf } from './failing-boots.ts';
import { faultyAmong } from './faulty-workers.ts';
import type { Picture } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import type { Standing } from './standing.ts';

/** Longer than any notice and the reboot after it. */
const NOTICE_MS_MAX = 1_200_000;

export interface Asked {
  readonly standing: Standing;
  readonly why: DrainWhy;
}

/** Everybody that is judged at this tick and has no request standing; whoever has no vmId cannot be asked, only judged. */
export function toBeReplaced(
  picture: Picture,
  {
    observation: { workers, drainRequests },
    drains,
  }: {
    readonly observation: Pick<Observation, 'workers' | 'drainRequests'>;
    readonly drains: Memory['drains'];
  },
): readonly Asked[] {
  if (workers === null || drainRequests === null || picture.isFleetSilent) return [];
  const faultyAlready = picture.standings.filter((standing) => {
    const key = keyOf(standing);
    return Object.hasOwn(drains, key) && drains[key]?.why === 'faulty';
  }).length;
  const faulty = new Set(faultyAmong(picture.alive, faultyAlready));
  const silent = new Set(picture.silent);
  const whyOf = (standing: Standing): DrainWhy | null => {
    if (standing.life === 'overdue') return 'never-reported';
    if (standing.life === 'failed') return 'failed';
    if (standing.life === 'unready') return 'never-ready';
    if (silent.has(standing)) return 'silent';
    if (faulty.has(standing)) return 'faulty';
    const { draining, life, idleMs } = standing;
    return draining === 'by-itself' && life === 'idle' && idleMs > NOTICE_MS_MAX ? 'by-itself' : null;
  };
  return picture.standings.flatMap((standing) => {
    const { draining, instance } = standing;
    if (draining === 'consented' || (instance.vmId !== null && drainRequests.has(instance.vmId))) return [];
    const why = whyOf(standing);
    return why === null ? [] : [{ standing, why }];
  });
}
