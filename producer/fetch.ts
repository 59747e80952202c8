/**
 * `npm run fetch JOB`: downloads the result of a job that is completed, from the fleet that is configured or the local one that is up.
 * The result's path goes to standard output. See `fetch/options.ts`.
 */
import path from 'node:path';

import { openBlobStore } from '../shared/azure/blob-store.ts';
import { PATIENT } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { onInterrupt, print, runCommand } from '../shared/command/run-command.ts';
import { JOB_ID_PATTERN } from '../shared/contract/blob-names.ts';
import type { JobStatus } from '../shared/contract/job.ts';
import type { ResultContainer } from '../shared/media/video-info.ts';
import { EXIT, PermanentError } from '../shared/runtime/errors.ts';
import { watchParent } from '../shared/runtime/watch-parent.ts';
import { commandConfig } from './commands/config.ts';
import { download, planOutput } from './commands/output.ts';
import { storageAccounts } from './commands/storage-accounts.ts';
import { parseFetchOptions } from './fetch/options.ts';
import { failureOf, readStatus } from './status.ts';

const argv = process.argv.slice(2);
const { signal, interrupt } = onInterrupt();
process.exitCode = await runCommand(argv, main, signal);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseFetchOptions(argv);
  if (options === null) return EXIT.ok;
  const config = commandConfig();
  watchParent({ environment: config.environment, onGone: interrupt });
  const blobs = await openBlobStore(await storageAccounts(config), PATIENT);
  const { jobId } = options;
  const status = JOB_ID_PATTERN.test(jobId)
    ? await reachStorage('the media storage', () => readStatus(blobs, jobId))
    : undefined;
  const { blobName, sizeBytes } = resultOf(jobId, status);
  const name = path.basename(blobName);
  const outputPath = await planOutput({
    sourcePath: path.join(config.callerFolder, name),
    outputPath:
      options.outputPath === undefined ? undefined : path.resolve(config.callerFolder, options.outputPath),
    label: 'result',
    container: path.extname(name).slice(1) as ResultContainer,
    mayOverwrite: options.mayOverwrite,
  });
  await download({ blobs, blobName, sizeBytes, outputPath, mayOverwrite: options.mayOverwrite, signal });
  print(options.asJson ? JSON.stringify({ jobId, output: outputPath, sizeBytes }) : outputPath);
  return EXIT.ok;
}

function resultOf(jobId: string, status: JobStatus | undefined): NonNullable<JobStatus['result']> {
  if (status === undefined) {
    throw new PermanentError('JOB_UNKNOWN', `There is no job ${JSON.stringify(jobId)} in this storage.`, {
      hint: 'Check the id: `npm run enqueue` prints it. A job appears once a producer has taken it.',
    });
  }
  if (status.result !== null && status.state === 'completed') return status.result;
  if (status.state === 'failed') throw failureOf(status, { hint: 'Enqueue the video again.' });
  const { scored, expected } = status.frames;
  throw new PermanentError(
    'JOB_NOT_COMPLETED',
    `The job ${jobId} is ${status.state}: ${scored} of ${expected} frames are scored.`,
    {
      hint: 'Run the command again when it is completed.',
    },
  );
}
