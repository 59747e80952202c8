/**
 * The ids of the newest jobs of the local fleet of this folder, for the completion of command lines. Answers within a second or two, with
 * nothing if no local fleet is up, or if the commands are set up for another fleet.
 */
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import { storageCommandConfig } from '../../../shared/command/config.ts';
import { JOB_ID_PATTERN, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { findStack } from '../../../shared/runtime/rendezvous.ts';

const ANSWER_MS_MAX = 1_500;
/** As many as fit on a screen. */
const JOBS_MAX = 30;

export async function newestLocalJobs(start: string): Promise<readonly string[]> {
  const { storage, localFolder } = storageCommandConfig();
  if (storage !== undefined) return [];
  const none: readonly string[] = [];
  const late = new Promise<typeof none>((resolve) => setTimeout(resolve, ANSWER_MS_MAX, none).unref());
  return Promise.race([readJobIds(localFolder, start), late]);
}

async function readJobIds(localFolder: string, start: string): Promise<readonly string[]> {
  const media = (await findStack(localFolder))?.environment['FRAMEFLEET_MEDIA_STORAGE'];
  if (media === undefined) return [];
  const blobs = await openBlobStore({ media: storageAccount(media), system: null }, BRISK);
  const jobIds: string[] = [];
  for await (const folder of blobs.listFolders('incoming'))
    if (JOB_ID_PATTERN.test(folder) && folder.startsWith(start)) jobIds.push(folder);
  // A job id starts with the time.
  const newest = jobIds.toSorted().toReversed().slice(0, JOBS_MAX);
  // A folder without a trigger is an upload.
  const triggers = await Promise.all(newest.map((jobId) => blobs.stat('incoming', triggerBlob(jobId))));
  return newest.filter((_, index) => triggers[index] !== undefined);
}
