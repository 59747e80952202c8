/**
 * Removes what instances leave in storage: drain requests of instances that are gone, and heartbeats of instances that have been gone for a
 * day. Each tick removes a limited number; the rest waits for the next tick.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob, heartbeatBlob } from '../../shared/contract/blob-names.ts';
import type { Observation } from '../observe/observation.ts';

const DAY_MS = 24 * 3600 * 1000;
const REMOVALS_MAX = 50;

export interface Leftovers {
  /** By vmId. */
  readonly drainRequests: readonly string[];
  /** By worker id. */
  readonly heartbeats: readonly string[];
}

/** None while the fleet cannot be read, or while an instance has no vmId yet: it might be the owner. */
export function findLeftovers({ now, fleet, workers, drainRequests }: Observation): Leftovers {
  if (fleet === null || fleet.instances.some(({ vmId }) => vmId === null))
    return { drainRequests: [], heartbeats: [] };
  const present = new Set(fleet.instances.map(({ vmId }) => vmId));
  const gone = [...(workers ?? new Map())].filter(([vmId]) => !present.has(vmId));
  return {
    drainRequests: [...(drainRequests?.keys() ?? [])].filter((vmId) => !present.has(vmId)),
    heartbeats: gone
      .flatMap(([, reports]) => reports)
      .filter(({ writtenAt }) => now.getTime() - writtenAt.getTime() > DAY_MS)
      .map(({ beat }) => beat.workerId),
  };
}

export async function removeLeftovers(
  observation: Observation,
  blobs: Pick<BlobStore, 'remove'>,
): Promise<void> {
  const { drainRequests, heartbeats } = findLeftovers(observation);
  await Promise.all([
    ...drainRequests.slice(0, REMOVALS_MAX).map((vmId) => blobs.remove('control', drainBlob(vmId))),
    ...heartbeats.slice(0, REMOVALS_MAX).map((workerId) => blobs.remove('workers', heartbeatBlob(workerId))),
  ]);
}
