/** Reads the workers' heartbeats from storage, by vmId. Throws if storage fails. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import { plainEtag } from './drain-requests.ts';
import type { WorkerReport } from './observation.ts';

/** The last heartbeat of every worker, or with `vmId` of the workers on that instance. */
export async function readWorkers(
  blobs: Pick<BlobStore, 'list'>,
  signal?: AbortSignal,
  vmId?: string,
): Promise<Map<string, WorkerReport[]>> {
  const byInstance = new Map<string, WorkerReport[]>();
  const prefix = vmId === undefined ? '' : `${vmId}-`;
  for await (const blob of blobs.list('workers', { prefix, withMetadata: true, signal })) {
    const beat = heartbeatFrom(blob.metadata);
    if (beat === undefined || (vmId !== undefined && beat.vmId !== vmId)) continue;
    const drainEtag = beat.drainEtag === null ? null : plainEtag(beat.drainEtag);
    const reports = byInstance.get(beat.vmId) ?? [];
    reports.push({ beat: { ...beat, drainEtag }, writtenAt: blob.lastModifiedAt });
    byInstance.set(beat.vmId, reports);
  }
  return byInstance;
}
