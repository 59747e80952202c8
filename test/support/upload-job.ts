/** What a user and an operator put into storage: a video with its trigger, and models. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  failedFrameBlob,
  modelBlob,
  segmentBlob,
  sourceBlob,
  triggerBlob,
} from '../../shared/contract/blob-names.ts';
import { encodeFailedFrame } from '../../shared/contract/failed-frame.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import { segmentMetadata } from '../../shared/contract/segment.ts';
import { buildRequest, firstSplit, MODEL_SHA256 } from './build-job.ts';

export const STYLES = ['starry-night', 'great-wave'];

/** A model's manifest; no test loads the graph. */
export async function publishModel(
  blobs: BlobStore,
  name: string,
  version: string,
  more: Pick<ModelManifest, 'state' | 'float16'> = {},
): Promise<void> {
  const picture = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
  const manifest = {
    name,
    version,
    file: `${name}.onnx`,
    sha256: MODEL_SHA256,
    input: { ...picture, name: 'frames', size: 'any' },
    output: { ...picture, name: 'stylized', scale: 1 },
    parameters: { style: { type: 'float32', values: STYLES.map((id) => ({ id })) } },
    ...more,
  };
  await blobs.put('models', modelBlob({ name, version }, 'model.json'), JSON.stringify(manifest));
}

/** Stores a source and, last, its trigger. `changes` can make the trigger wrong. */
export async function uploadJob(
  blobs: BlobStore,
  jobId: string,
  changes: (honest: JobRequest) => Partial<JobRequest> = () => ({}),
  video: string | Buffer = `the video of ${jobId}`,
): Promise<JobRequest> {
  const { source } = buildRequest(jobId);
  const blobName = sourceBlob(jobId, source.name);
  await blobs.put('incoming', blobName, video);
  const stored = await blobs.stat('incoming', blobName);
  if (stored === undefined) throw new Error('expected the source that was just stored');
  const honest = buildRequest(jobId, {
    source: { name: source.name, sizeBytes: stored.sizeBytes, etag: stored.etag },
  });
  const request = { ...honest, ...changes(honest) };
  await blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request));
  return request;
}

/** What a worker stores of a frame that it gives up. */
export async function putFailedFrame(blobs: BlobStore, jobId: string, frameIndex: number): Promise<void> {
  const record = encodeFailedFrame({
    frameIndex,
    kind: 'inference',
    message: 'no output',
    attempts: 3,
    worker: 'vm-0',
    model: { name: 'painter', version: '1', sha256: MODEL_SHA256 },
    failedAt: '2026-11-23T06:20:00.000Z',
  });
  await blobs.put('scored', failedFrameBlob(firstSplit(jobId), frameIndex), record);
}

/** What a worker stores of a segment. The bytes are no video. */
export async function putSegment(
  blobs: BlobStore,
  jobId: string,
  frames: FrameRange,
  failed: readonly number[] = [],
): Promise<void> {
  const metadata = segmentMetadata(failed, { width: 64, height: 48 });
  await blobs.put('scored', segmentBlob(firstSplit(jobId), frames), 'a segment', {
    onlyIfAbsent: true,
    metadata,
  });
}

/** Event Grid's message about a blob. */
export function blobCreatedEvent(container: string, name: string): Record<string, unknown> {
  return {
    id: '831e1650-001e-001b-66ab-eeb76e069631',
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/media',
    subject: `/blobServices/default/containers/${container}/blobs/${name}`,
    eventType: 'Microsoft.Storage.BlobCreated',
    eventTime: '2026-11-23T06:15:02.000Z',
    dataVersion: '',
    metadataVersion: '1',
    data: { api: 'PutBlockList', contentType: 'application/json', blobType: 'BlockBlob' },
  };
}
