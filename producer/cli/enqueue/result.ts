/**
 * The result of a job for `enqueue`: whether it is a video, an image, a folder of images or lines of numbers, where it goes, and writing it
 * there. A result that cannot be written is kept: see `keep-result.ts`.
 */
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { callerPath } from '../../../shared/command/config.ts';
import { leafOf, safeSourceName } from '../../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../../shared/contract/job.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { resultLabel } from '../../control/result-label.ts';
import type { ResolvedModel } from '../../jobs/model-catalogue.ts';
import { type OutputPlan, type OutputRequest, isSameFormat, planOutput } from '../output-path.ts';
import { planFolder, saveImages } from '../save-images.ts';
import { resultInStorage, saveOutput } from '../save-output.ts';
import type { EnqueueConfig } from './config.ts';
import { keepFolder, keepResult } from './keep-result.ts';
import type { EnqueueOptions } from './options.ts';
import type { ReachedFleet } from './reach-fleet.ts';
import type { Source } from './source.ts';

export interface OutputPlace extends OutputPlan {
  readonly isFolder: boolean;
  readonly request: OutputRequest;
}

/** The name of what was given: a file, a folder, or a prefix in storage (`shoot-1` of `2026/shoot-1/`). */
export function sourceNameOf({ videoPath, isStored }: EnqueueOptions): string {
  return isStored ? safeSourceName(leafOf(videoPath.replace(/\*$/, ''))) : path.basename(videoPath);
}

/**
 * Tries to write there. `known`: what the model returns, if that is known. Throws OUTPUT_NOT_WRITABLE, and USAGE if `--out` has another
 * format than the result.
 */
export async function placeResult(
  options: EnqueueOptions,
  source: Source,
  known: ResolvedModel['result'] | undefined,
): Promise<OutputPlace> {
  const { outputPath, mayReplace, isStored } = options;
  const isLines =
    known === undefined ? outputPath?.toLowerCase().endsWith('.ndjson') === true : known === 'numbers';
  const sourcePath = callerPath(isStored ? sourceNameOf(options) : options.videoPath);
  const isFolderGiven = source.kind === 'stored-images' || (source.kind === 'images' && source.isFolder);
  const isFolder = isFolderGiven && !isLines;
  const request = {
    sourcePath: isStored ? undefined : sourcePath,
    outputPath: outputPath === undefined ? undefined : callerPath(outputPath),
    defaultFolder: path.dirname(sourcePath),
    stem: isFolderGiven ? path.basename(sourcePath) : path.parse(sourcePath).name,
    label: resultLabel(options.settings),
    container: isLines ? 'ndjson' : containerOf(options, source),
    mayReplace,
  };
  const plan = isFolder ? { path: await planFolder(request), mayReplace } : await planOutput(request);
  return { ...plan, isFolder, request };
}

function containerOf({ settings, container, videoPath }: EnqueueOptions, source: Source): string {
  if (source.kind === 'video') return settings.container ?? container ?? source.video.container;
  return path.extname(videoPath).slice(1).toLowerCase();
}

interface ResultToWrite {
  readonly blobs: BlobStore;
  readonly jobId: string;
  readonly result: NonNullable<JobStatus['result']>;
  readonly planned: OutputPlace;
  readonly fleet: ReachedFleet;
  readonly config: EnqueueConfig;
  readonly signal: AbortSignal;
}

/** Returns the path of the result. Throws OUTPUT_NOT_WRITABLE, which says where the result is kept. */
export async function saveResult(toWrite: ResultToWrite): Promise<string> {
  const { blobs, jobId, result, planned, fleet, config, signal } = toWrite;
  let { blobName } = result;
  if (planned.isFolder && blobName.endsWith('/')) return writeFolder(toWrite);
  if (blobName.endsWith('/')) {
    for await (const { name } of blobs.list('results', { prefix: blobName, signal })) blobName = name;
  }
  const stored = resultInStorage(blobs, jobId, { ...result, blobName });
  const container = path.extname(blobName).slice(1);
  // The ending of an image may be wrong, and that of its result right. Or it was not known what the model returns.
  const isAsPlanned = isSameFormat(container, planned.request.container);
  try {
    const plan = isAsPlanned ? planned : await planOutput({ ...planned.request, container });
    await saveOutput(stored, plan, signal);
    return plan.path;
  } catch (error) {
    if (!(error instanceof PermanentError) || !['OUTPUT_NOT_WRITABLE', 'USAGE'].includes(error.code))
      throw error;
    throw await keepResult({
      refusal: error,
      stored,
      blobName,
      fileName: isAsPlanned ? path.basename(planned.path) : `${path.parse(planned.path).name}.${container}`,
      ownFleet: fleet.own,
      localFolder: config.localFolder,
      signal,
    });
  }
}

async function writeFolder({
  blobs,
  jobId,
  result,
  planned,
  fleet,
  config,
  signal,
}: ResultToWrite): Promise<string> {
  try {
    await saveImages(blobs, result.blobName, planned.path, signal);
    return planned.path;
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== 'OUTPUT_NOT_WRITABLE') throw error;
    throw await keepFolder({ refusal: error, jobId, ownFleet: fleet.own, localFolder: config.localFolder });
  }
}
