/** Reads the workers' heartbeats and the drain requests from storage, by vmId. Throws if storage fails. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { DRAIN_PREFIX, vmIdOfDrain } from '../../shared/contract/blob-names.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import type { WorkerReport } from './observation.ts';

type Listing = Pick<BlobStore, 'list'>;

/** The last heartbeat of every worker, or with `vmId` of the workers on that instance. */
export async function readWorkers(
  blobs: Listing,
  signal?: AbortSignal,
  vmId?: string,
): Promise<Map<string, WorkerReport[]>> {
  const byMachine = new Map<string, WorkerReport[]>();
  const prefix = vmId === undefined ? '' : `${vmId}-`;
  for await (const blob of blobs.list('workers', { prefix, withMetadata: true, signal })) {
    const beat = heartbeatFrom(blob.metadata);
    if (beat === undefined || (vmId !== undefined && beat.vmId !== vmId)) continue;
    const drainEtag = beat.drainEtag === null ? null : plainEtag(beat.drainEtag);
    const reports = byMachine.get(beat.vmId) ?? [];
    reports.push({ beat: { ...beat, drainEtag }, writtenAt: blob.lastModifiedAt });
    byMachine.set(beat.vmId, reports);
  }
  return byMachine;
}

/** The etag of each drain request. */
export async function readDrainRequests(blobs: Listing, signal?: AbortSignal): Promise<Map<string, string>> {
  const requests = new Map<string, string>();
  for await (const { name, etag } of blobs.list('control', { prefix: DRAIN_PREFIX, signal })) {
    const vmId = vmIdOfDrain(name);
    if (vmId !== undefined) requests.set(vmId, plainEtag(etag));
  }
  return requests;
}

/** The service quotes etags in headers but not in listings. Both forms must compare as equal. */
function plainEtag(etag: string): string {
  return etag.replaceAll('"', '');
}
