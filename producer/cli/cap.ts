/**
 * `npm run cap -- JOB AMOUNT|none`: raises, lowers or removes the spending cap of a job. It writes `control/caps/<jobId>`, which the
 * producer reads. It needs only storage. See `cap/options.ts`.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { storageCommandConfig } from '../../shared/command/config.ts';
import { print, runCommand, say } from '../../shared/command/run-command.ts';
import { openReachable, storageAccounts } from '../../shared/command/storage-accounts.ts';
import { capBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobCap, encodeJobCap } from '../../shared/contract/cap.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { jobEnded, jobUnknown } from '../control/job-errors.ts';
import { hasNoPrices } from '../control/job-view.ts';
import { readStatus } from '../jobs/status.ts';
import { parseCapOptions } from './cap/options.ts';

const argv = process.argv.slice(2);
await runCommand(argv, main);

async function main(): Promise<number> {
  const options = parseCapOptions(argv);
  if (options === null) return EXIT.ok;
  const blobs = await openReachable(await storageAccounts(storageCommandConfig()));
  const { jobId, spendingMax, asJson } = options;
  await requireOpenJob(blobs, jobId);
  const cap: JobCap = { version: 1, jobId, spendingMax, setAt: clock.now().toISOString() };
  await blobs.put('control', capBlob(jobId), encodeJobCap(cap), { contentType: 'application/json' });
  const sentence = spendingMax === null ? 'has no cap' : `may cost ${spendingMax} in all`;
  if (asJson) print(JSON.stringify(cap));
  else print(`The job ${jobId} ${sentence}. The producer applies this within half a minute.`);
  if (spendingMax !== null && (await hasNoPrices(blobs)))
    say('The fleet has no prices (FRAMEFLEET_PRICES), so a cap has no effect.');
  return EXIT.ok;
}

/** Throws JOB_UNKNOWN or JOB_ENDED. */
async function requireOpenJob(blobs: BlobStore, jobId: string): Promise<void> {
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined)
    throw jobUnknown(jobId, 'set the cap');
  const status = await readStatus(blobs, jobId);
  if (status !== undefined && isTerminal(status.state))
    throw jobEnded(
      status,
      'set the cap',
      'To run it again with another cap: npm run enqueue VIDEO -- --max-cost AMOUNT',
    );
}
