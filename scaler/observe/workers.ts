/** What workers say of themselves, and what has been asked of them: blobs, by machine. Throws where storage does. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { DRAIN_PREFIX, vmIdOfDrain } from '../../shared/contract/blob-names.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import type { WorkerReport } from './observation.ts';

type Listing = Pick<BlobStore, 'list'>;

/** The last word of every worker; of one machine's workers with `vmId`. */
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

/** The etag of each request that stands, by machine. */
export async function readDrainRequests(blobs: Listing, signal?: AbortSignal): Promise<Map<string, string>> {
  const requests = new Map<string, string>();
  for await (const { name, etag } of blobs.list('control', { prefix: DRAIN_PREFIX, signal })) {
    const vmId = vmIdOfDrain(name);
    if (vmId !== undefined) requests.set(vmId, plainEtag(etag));
  }
  return requests;
}

/** The service quotes an etag in a header, and does not in a listing: the same etag must compare as one. */
function plainEtag(etag: string): string {
  return etag.replaceAll('"', '');
}
