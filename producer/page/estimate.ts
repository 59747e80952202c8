/** What a job of an upload would cost and how long it would take, before it is started. */
import { DEFAULT_SETTINGS } from '../../shared/contract/job.ts';
import { type EstimatedWork, estimateJob } from '../estimate/estimate.ts';
import { UNMEASURED_FLEET, readFleetRates } from '../estimate/fleet-rates.ts';
import { videoWork } from '../estimate/video-work.ts';
import { resolveModel } from '../jobs/model-catalogue.ts';
import type { Estimate, NewJob } from './contract.ts';
import { type NewJobServices, checkedVideo, enterFolder, storedImages } from './new-job.ts';
import type { UploadDocument } from './uploads.ts';

/** Up to as many machines as the fleet may have. */
const MACHINE_COUNTS = [1, 2, 4, 8, 16, 32, 64];

/** Throws the errors of `startJob`. */
export async function estimateUpload(
  services: NewJobServices,
  { uploadId, model, parameters }: NewJob,
  signal: AbortSignal,
): Promise<Estimate> {
  const { blobs, uploads } = services;
  const upload = await uploads.find(uploadId);
  const settings = { ...DEFAULT_SETTINGS, model: { name: model }, parameters: { ...parameters } };
  const { contextFrames = 0 } = await resolveModel(blobs, settings);
  const rates = (await readFleetRates(blobs)) ?? UNMEASURED_FLEET;
  const size = await sizeOf(services, upload, signal);
  const counts = MACHINE_COUNTS.filter((count) => count === 1 || count <= rates.machinesMax);
  const work = { ...size, model, contextFrames, batchFrames: undefined };
  const { frames, gpuSeconds, wallSeconds, basis } = estimateJob(work, rates, counts);
  return {
    kind: upload.kind,
    frames,
    gpuSeconds,
    wallSeconds: wallSeconds.map(({ machines, seconds, money }) => ({ machines, seconds, money })),
    basis,
  };
}

async function sizeOf(
  services: NewJobServices,
  upload: UploadDocument,
  signal: AbortSignal,
): Promise<Pick<EstimatedWork, 'split' | 'frames' | 'megapixelsPerFrame'>> {
  if (upload.kind === 'images') {
    const { images, megapixels } = await storedImages(services.blobs, upload);
    return { split: 'images', frames: images.length, megapixelsPerFrame: megapixels };
  }
  await using folder = await enterFolder(services, upload, 0);
  const sourcePath = await folder.source(signal);
  const video = await checkedVideo(sourcePath, services.sourceLimits, upload);
  return await videoWork(sourcePath, video, services.sourceLimits.framesMax);
}
