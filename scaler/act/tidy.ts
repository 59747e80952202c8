/**
 * Takes away what machines leave behind in storage: drain requests of those that have gone, and heartbeats of those that have been
 * gone for a day. A little each tick; what is left over is there at the next.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob, heartbeatBlob } from '../../shared/contract/blob-names.ts';
import type { Observation } from '../observe/observation.ts';

const DAY_MS = 24 * 3600 * 1000;
const REMOVALS_MAX = 50;

export interface Leftovers {
  readonly drainRequests: readonly string[];
  readonly heartbeats: readonly string[];
}

/** By name of machine and of worker. Nothing is left over of a fleet that cannot be seen. */
export function leftovers({ now, fleet, workers, drainRequests }: Observation): Leftovers {
  if (fleet === null || fleet.instances.some(({ vmId }) => vmId === null))
    return { drainRequests: [], heartbeats: [] };
  const there = new Set(fleet.instances.map(({ vmId }) => vmId));
  const gone = [...(workers ?? new Map())].filter(([vmId]) => !there.has(vmId));
  return {
    drainRequests: [...(drainRequests?.keys() ?? [])].filter((vmId) => !there.has(vmId)),
    heartbeats: gone
      .flatMap(([, reports]) => reports)
      .filter(({ writtenAt }) => now.getTime() - writtenAt.getTime() > DAY_MS)
      .map(({ beat }) => beat.workerId),
  };
}

export async function tidy(observation: Observation, blobs: Pick<BlobStore, 'remove'>): Promise<void> {
  const { drainRequests, heartbeats } = leftovers(observation);
  await Promise.all([
    ...drainRequests.slice(0, REMOVALS_MAX).map((vmId) => blobs.remove('control', drainBlob(vmId))),
    ...heartbeats.slice(0, REMOVALS_MAX).map((workerId) => blobs.remove('workers', heartbeatBlob(workerId))),
  ]);
}
