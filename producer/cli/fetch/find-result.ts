/** Finds the result of a job: kept by `enqueue` in the local folder, else in the storage of the fleet. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { startOwnFleet } from '../../../shared/command/own-fleet.ts';
import { noFleet, openMediaStorage } from '../../../shared/command/storage-accounts.ts';
import { triggerBlob } from '../../../shared/contract/blob-names.ts';
import { IMAGE_LIST_SUFFIX } from '../../../shared/contract/image-list.ts';
import { type JobRequest, isTerminal, jobRequest } from '../../../shared/contract/job.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { TransientError } from '../../../shared/runtime/errors.ts';
import { jobUnknown } from '../../control/job-errors.ts';
import { resultLabel } from '../../control/result-label.ts';
import { failureOf, readStatus } from '../../jobs/status.ts';
import type { EnqueueConfig } from '../enqueue/config.ts';
import { type KeptResult, findKept } from '../kept-folder.ts';
import { type StoredResult, resultInFile, resultInStorage } from '../save-output.ts';

export interface FoundResult extends AsyncDisposable {
  /** A file; or the images below a prefix of the container `results`. */
  readonly stored: StoredResult | { readonly images: string; readonly blobs: BlobStore };
  /** The parts of its default file name: `<stem>.<label>.<container>`. */
  readonly name: { readonly stem: string; readonly label: string; readonly container: string };
  /** The job was retried, and that run has ended without a result: this is the one of the run before. */
  readonly isOfEarlierRun: boolean;
  /** Call this when the result has been written: it removes the kept copy. */
  release(): Promise<void>;
}

/** Throws JOB_UNKNOWN, JOB_NOT_FINISHED, the error of a failed job, CONFIG_INVALID, FLEET_NOT_FOUND or STORAGE_UNAVAILABLE. */
export async function findResult(
  config: EnqueueConfig,
  jobId: string,
  signal: AbortSignal,
): Promise<FoundResult> {
  const kept = await findKept(config.localFolder, jobId);
  if (kept?.kind === 'file') return keptInFile(kept, jobId);
  if (kept?.kind === 'storage') return keptInStorage(kept, config, jobId, signal);
  const setting = config.mediaStorage ?? (await localStorage(config.localFolder, signal));
  return { ...(await resultOf(await openMediaStorage(setting, signal), jobId)), ...NOTHING_TO_REMOVE };
}

const NOTHING_TO_REMOVE = {
  release: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

function keptInFile(kept: KeptResult & { kind: 'file' }, jobId: string): FoundResult {
  const { path: filePath, sizeBytes, folder } = kept;
  const { name, ext } = path.parse(filePath);
  const { name: stem, ext: label } = path.parse(name);
  return {
    stored: resultInFile(jobId, filePath, sizeBytes),
    name: { stem, label: label.slice(1) || 'result', container: ext.slice(1) },
    isOfEarlierRun: false,
    release: () => rm(folder, { recursive: true, force: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function keptInStorage(
  { folder }: KeptResult,
  { environment }: EnqueueConfig,
  jobId: string,
  signal: AbortSignal,
): Promise<FoundResult> {
  const fleet = await startOwnFleet({ args: ['--kept', folder], environment, signal });
  let isReleased = false;
  const stop = async (): Promise<void> => {
    await fleet[Symbol.asyncDispose]();
    if (isReleased) await rm(folder, { recursive: true, force: true });
  };
  try {
    return {
      ...(await resultOf(await openMediaStorage(fleet.mediaStorage, signal), jobId)),
      release: () => Promise.resolve(void (isReleased = true)),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function resultOf(
  blobs: BlobStore,
  jobId: string,
): Promise<Omit<FoundResult, 'release' | typeof Symbol.asyncDispose>> {
  const [status, trigger] = await Promise.all([
    readStatus(blobs, jobId),
    blobs.get('incoming', triggerBlob(jobId)),
  ]);
  if (status === undefined && trigger === undefined) throw jobUnknown(jobId, 'fetch the result');
  const hasEnded = status !== undefined && isTerminal(status.state);
  if (hasEnded && status.result === null) throw failureOf(status, { hint: 'Enqueue the video again.' });
  if (!hasEnded || status.result === null) {
    throw new TransientError(
      'JOB_NOT_FINISHED',
      `The job ${jobId} has not finished: ${progressOf(status)}.`,
      { hint: 'Run the command again later.' },
    );
  }
  const { name, ext } = path.parse(status.result.blobName);
  const request = jobRequest.safeParse(parseJson(String(trigger))).data;
  const isFolder = status.result.blobName.endsWith('/');
  // Numbers and images have the same name in every job.
  const isCommon = isFolder || ext === '.ndjson';
  const stem = isCommon && request !== undefined ? sourceStem(request.source) : name;
  return {
    stored: isFolder
      ? { images: status.result.blobName, blobs }
      : resultInStorage(blobs, jobId, status.result),
    isOfEarlierRun: status.state !== 'completed',
    name: { stem, label: request === undefined ? 'result' : resultLabel(request), container: ext.slice(1) },
  };
}

function sourceStem({ name, kind }: JobRequest['source']): string {
  return kind === 'images' ? name.slice(0, -IMAGE_LIST_SUFFIX.length) : path.parse(name).name;
}

function progressOf(status: Awaited<ReturnType<typeof readStatus>>): string {
  if (status === undefined) return 'no producer has accepted it yet';
  const { expected, scored, failed } = status.frames;
  return `it is ${status.state}, with ${scored + failed} of ${expected} frames done`;
}

async function localStorage(localFolder: string, signal: AbortSignal): Promise<string> {
  const media = (await findReadyStack(localFolder, signal))?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (media === undefined) throw noFleet('FRAMEFLEET_MEDIA_STORAGE');
  return media;
}
