/**
 * `npm run cap -- JOB AMOUNT|none`: sets what a job may cost, higher or lower. Writes `control/caps/<jobId>`, which the producer takes
 * up. Reaches storage only. See `cap/options.ts`.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { print, runCommand } from '../../shared/command/run-command.ts';
import { capBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobCap, encodeJobCap } from '../../shared/contract/cap.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { readStatus } from '../jobs/status.ts';
import { parseOptions } from './cap/options.ts';
import { commandConfig } from './config.ts';
import { openReachable, storageAccounts } from './storage-accounts.ts';

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, main);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const blobs = await openReachable(await storageAccounts(commandConfig()));
  const { jobId, spendingMax, asJson } = options;
  await refuseUnlessOpen(blobs, jobId);
  const cap: JobCap = { version: 1, jobId, spendingMax, setAt: clock.now().toISOString() };
  await blobs.put('control', capBlob(jobId), encodeJobCap(cap), { contentType: 'application/json' });
  const sentence = spendingMax === null ? 'has no cap' : `may cost ${spendingMax} in all`;
  if (asJson) print(JSON.stringify(cap));
  else print(`The job ${jobId} ${sentence}. The producer takes this up within half a minute.`);
  return EXIT.ok;
}

async function refuseUnlessOpen(blobs: BlobStore, jobId: string): Promise<void> {
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined) {
    throw new PermanentError('JOB_UNKNOWN', `Cannot set the cap: there is no job ${jobId}.`, {
      hint: 'Use the id that `npm run enqueue` printed, or `npm run explain` shows. Check that .env names the same storage.',
    });
  }
  const status = await readStatus(blobs, jobId);
  if (status !== undefined && isTerminal(status.state)) {
    throw new PermanentError(
      'JOB_ENDED',
      `Cannot set the cap: the job ${jobId} has ended (${status.state}).`,
      {
        hint: 'Only an open job has a cap to change. To do it again with another cap: npm run enqueue VIDEO -- --max-cost AMOUNT',
      },
    );
  }
}
