/** The result of a job: the one that `enqueue` has kept in the local folder, else the one in the storage of the fleet. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { storageAccount } from '../../../shared/azure/credentials.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { triggerBlob } from '../../../shared/contract/blob-names.ts';
import { jobRequest } from '../../../shared/contract/job.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { PermanentError, TransientError } from '../../../shared/runtime/errors.ts';
import { failureOf, readStatus } from '../../jobs/status.ts';
import type { EnqueueConfig } from '../enqueue/config.ts';
import { type KeptResult, findKept } from '../kept-folder.ts';
import { startOwnFleet } from '../own-fleet.ts';
import { resultLabel } from '../result-label.ts';
import { type StoredResult, resultInFile, resultInStorage } from '../save-output.ts';
import { openReachable } from '../storage-accounts.ts';

export interface FoundResult extends AsyncDisposable {
  readonly stored: StoredResult;
  /** Of the name that it gets by default: `<stem>.<label>.<container>`. */
  readonly name: { readonly stem: string; readonly label: string; readonly container: string };
  /** Called when the result has been written to its place: what was kept of it is removed. */
  release(): Promise<void>;
}

/** Throws JOB_UNKNOWN, JOB_NOT_FINISHED, the error of a failed job, or what keeps the storage from being reached. */
export async function findResult(
  config: EnqueueConfig,
  jobId: string,
  signal: AbortSignal,
): Promise<FoundResult> {
  const kept = await findKept(config.localFolder, jobId);
  if (kept?.kind === 'file') return keptInFile(kept, jobId);
  if (kept?.kind === 'storage') return keptInStorage(kept, config, jobId, signal);
  const setting = config.mediaStorage ?? (await localStorage(config, signal));
  return { ...(await resultOf(await openMedia(setting, signal), jobId)), ...NOTHING_TO_REMOVE };
}

const NOTHING_TO_REMOVE = {
  release: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

function keptInFile(
  { path: filePath, sizeBytes, folder }: KeptResult & { kind: 'file' },
  jobId: string,
): FoundResult {
  const { name, ext } = path.parse(filePath);
  const { name: stem, ext: label } = path.parse(name);
  return {
    stored: resultInFile(jobId, filePath, sizeBytes),
    name: { stem, label: label.slice(1) || 'result', container: ext.slice(1) },
    release: () => rm(folder, { recursive: true, force: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function keptInStorage(
  { folder }: KeptResult,
  { stackProgram, environment }: EnqueueConfig,
  jobId: string,
  signal: AbortSignal,
): Promise<FoundResult> {
  const fleet = await startOwnFleet({ program: stackProgram, args: ['--kept', folder], environment, signal });
  let isReleased = false;
  const stop = async (): Promise<void> => {
    await fleet[Symbol.asyncDispose]();
    if (isReleased) await rm(folder, { recursive: true, force: true });
  };
  try {
    return {
      ...(await resultOf(await openMedia(fleet.mediaStorage, signal), jobId)),
      release: () => Promise.resolve(void (isReleased = true)),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function openMedia(setting: string, signal: AbortSignal): Promise<BlobStore> {
  return openReachable({ media: storageAccount(setting), system: null }, { signal });
}

async function resultOf(blobs: BlobStore, jobId: string): Promise<Pick<FoundResult, 'stored' | 'name'>> {
  const [status, trigger] = await Promise.all([
    readStatus(blobs, jobId),
    blobs.get('incoming', triggerBlob(jobId)),
  ]);
  if (status === undefined && trigger === undefined) {
    throw new PermanentError('JOB_UNKNOWN', `There is no job ${jobId} in this fleet.`, {
      hint: 'Check the id, and that FRAMEFLEET_MEDIA_STORAGE names the account that the job was sent to.',
    });
  }
  if (status?.state === 'failed') throw failureOf(status, { hint: 'Enqueue the video again.' });
  if (status?.state !== 'completed' || status.result === null) {
    throw new TransientError(
      'JOB_NOT_FINISHED',
      `The job ${jobId} has not finished: ${progressOf(status)}.`,
      {
        hint: 'Run the command again later.',
      },
    );
  }
  const { name: stem, ext } = path.parse(status.result.blobName);
  const request = jobRequest.safeParse(parseJson(String(trigger))).data;
  return {
    stored: resultInStorage(blobs, jobId, status.result),
    name: { stem, label: request === undefined ? 'result' : resultLabel(request), container: ext.slice(1) },
  };
}

function progressOf(status: Awaited<ReturnType<typeof readStatus>>): string {
  if (status === undefined) return 'no producer has taken it yet';
  const { expected, scored, failed } = status.frames;
  return `it is ${status.state}, with ${scored + failed} of ${expected} frames done`;
}

async function localStorage({ localFolder }: EnqueueConfig, signal: AbortSignal): Promise<string> {
  const media = (await findReadyStack(localFolder, signal))?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (media !== undefined) return media;
  throw new PermanentError(
    'CONFIG_INVALID',
    'There is no fleet to fetch from: FRAMEFLEET_MEDIA_STORAGE is not set, and no local fleet runs for this folder.',
    { hint: 'Start the local fleet with `npm start`, or set FRAMEFLEET_MEDIA_STORAGE.' },
  );
}
