/**
 * The estimate of a job from what the user has on this machine, for `estimate` and `enqueue --estimate-first`. Uploads nothing and starts no
 * fleet: the rates are those of the fleet that would run the job.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { storageAccount } from '../../../shared/azure/credentials.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { openReachable, noFleet } from '../../../shared/command/storage-accounts.ts';
import type { FleetRates } from '../../../shared/contract/fleet-rates.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { modelManifest } from '../../../shared/contract/model-manifest.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { type EstimatedWork, type JobEstimate, estimateJob } from '../../estimate/estimate.ts';
import {
  UNMEASURED_FLEET,
  UNMEASURED_MACHINE,
  readFleetRates,
  readKeptRates,
} from '../../estimate/fleet-rates.ts';
import { videoWork } from '../../estimate/video-work.ts';
import { resolveModel } from '../../jobs/model-catalogue.ts';
import type { EnqueueConfig } from '../enqueue/config.ts';
import { type Source, listStoredImages } from '../enqueue/source.ts';

export interface SourceEstimate extends JobEstimate {
  readonly source: Pick<EstimatedWork, 'split' | 'megapixelsPerFrame'>;
  readonly machinesMax: number;
}

export interface EstimateRequest {
  readonly config: EnqueueConfig;
  readonly source: Source;
  readonly settings: JobSettings;
  /** Numbers of machines; none for the number that the scaler starts by itself. */
  readonly machines: readonly number[];
  readonly signal: AbortSignal;
}

/** Throws the errors of `resolveModel` and of storage; FLEET_NOT_FOUND for images in storage without a fleet. */
export async function estimateSource(request: EstimateRequest): Promise<SourceEstimate> {
  const { config, settings, machines } = request;
  const blobs = await openFleetStorage(request);
  const [rates, contextFrames, size] = await Promise.all([
    ratesOf(blobs, config),
    contextFramesOf(blobs, request),
    sizeOf(blobs, request),
  ]);
  const work = { ...size, model: settings.model.name, contextFrames, batchFrames: settings.batchSize };
  const { split, megapixelsPerFrame } = size;
  return {
    ...estimateJob(work, rates, machines),
    source: { split, megapixelsPerFrame },
    machinesMax: rates.machinesMax,
  };
}

/** Undefined if no fleet runs, or if this user can reach the media account only. */
async function openFleetStorage({ config, signal }: EstimateRequest): Promise<BlobStore | undefined> {
  const local =
    config.mediaStorage === undefined ? await findReadyStack(config.localFolder, signal) : undefined;
  const media = config.mediaStorage ?? local?.['FRAMEFLEET_MEDIA_STORAGE'];
  const system = config.systemStorage ?? local?.['FRAMEFLEET_SYSTEM_STORAGE'];
  if (media === undefined || system === undefined) return undefined;
  return openReachable({ media: storageAccount(media), system: storageAccount(system) }, signal);
}

async function ratesOf(blobs: BlobStore | undefined, config: EnqueueConfig): Promise<FleetRates> {
  const isLocal = config.mediaStorage === undefined;
  const published = blobs && (await readFleetRates(blobs));
  if (published !== undefined) return published;
  return isLocal ? ((await readKeptRates(config.localFolder)) ?? UNMEASURED_MACHINE) : UNMEASURED_FLEET;
}

/** Without a fleet, of a model that every fleet publishes; 0 for any other. */
async function contextFramesOf(
  blobs: BlobStore | undefined,
  { config, settings }: EstimateRequest,
): Promise<number> {
  if (blobs !== undefined) return (await resolveModel(blobs, settings)).contextFrames ?? 0;
  const text = await readFile(path.join(config.modelFolder, settings.model.name, 'model.json'), 'utf8').catch(
    () => '',
  );
  return modelManifest.safeParse(parseJson(text)).data?.state?.contextFrames ?? 0;
}

async function sizeOf(
  blobs: BlobStore | undefined,
  { config, source, signal }: EstimateRequest,
): Promise<Pick<EstimatedWork, 'split' | 'frames' | 'megapixelsPerFrame'>> {
  switch (source.kind) {
    case 'video':
      return videoWork(source.path, source.video, config.sourceLimits.framesMax);
    case 'images':
      return { split: 'images', frames: source.images.length, megapixelsPerFrame: source.megapixels };
    case 'stored-images': {
      if (blobs === undefined) throw noFleet('FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE');
      const { images, megapixels } = await listStoredImages(blobs, source.prefix, signal);
      return { split: 'images', frames: images.length, megapixelsPerFrame: megapixels };
    }
  }
}
