/**
 * Whether spot machines are taken as fast as they are given. PURE.
 *
 * An evicted machine is gone from the cloud's list, or stopped there, while its workers' last words are still in storage: spoken a
 * moment ago, and not to a request of ours. Two in five minutes, and one in four of those there were, is a wave: what is missing is
 * bought on demand until it is over. Nothing has to be remembered for it.
 */
import type { FleetView } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';

const WINDOW_MS = 300_000;
const EVICTIONS_MIN = 2;
const SHARE_MIN = 0.25;

export function evictionsLately({ pools, instances }: FleetView, { workers, now }: Observation): number {
  if (!pools.some(({ kind }) => kind === 'spot')) return 0;
  const present = new Set(instances.filter(({ phase }) => phase !== 'stopped').map(({ vmId }) => vmId));
  return [...(workers ?? [])].filter(([vmId, reports]) => {
    if (present.has(vmId) || reports.length === 0) return false;
    const isRecent = reports.some(({ writtenAt }) => now.getTime() - writtenAt.getTime() < WINDOW_MS);
    return isRecent && reports.every(({ beat }) => beat.drainEtag === null);
  }).length;
}

export function isEvicting(evictions: number, spotAlive: number): boolean {
  return evictions >= Math.max(EVICTIONS_MIN, SHARE_MIN * (spotAlive + evictions));
}
