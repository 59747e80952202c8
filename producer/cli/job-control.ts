/**
 * `npm run cancel|pause|resume|priority|retry|clean -- JOB`: steers a job through storage alone. Cancel, pause and resume wait until the
 * producer has applied them. See `job-control/options.ts`.
 */
import { openWorkQueue } from '../../shared/azure/work-queue.ts';
import { storageCommandConfig } from '../../shared/command/config.ts';
import { print, runCommand, say } from '../../shared/command/run-command.ts';
import { openReachable, storageAccounts } from '../../shared/command/storage-accounts.ts';
import { countedText } from '../../shared/command/text.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import {
  cancelJob,
  cleanJob,
  pauseJob,
  removeJob,
  resumeJob,
  retryJob,
  setJobPriority,
} from '../control/job-orders.ts';
import { removeEntries } from '../jobs/sift-queue.ts';
import { type ControlOptions, type ControlVerb, parseControlOptions } from './job-control/options.ts';

const [verb = '', ...argv] = process.argv.slice(2);
await runCommand(argv, main);

async function main(): Promise<number> {
  const options = parseControlOptions(verb as ControlVerb, argv);
  if (options === null) return EXIT.ok;
  const accounts = await storageAccounts(storageCommandConfig());
  const { jobId, asJson } = options;
  const { sentence, facts } = await carryOut(accounts, options);
  if (asJson) print(JSON.stringify({ jobId, ...facts }));
  else {
    print(jobId);
    say(sentence);
  }
  return EXIT.ok;
}

interface Answer {
  readonly sentence: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

async function carryOut(
  accounts: Awaited<ReturnType<typeof storageAccounts>>,
  options: ControlOptions,
): Promise<Answer> {
  const blobs = await openReachable(accounts);
  const { jobId } = options;
  switch (options.verb) {
    case 'cancel': {
      const after = await cancelJob(blobs, jobId, options);
      const kept = options.isCleaned
        ? 'What was scored will be removed.'
        : `What was scored is kept for now. To run the rest: npm run retry -- ${jobId}`;
      return answer(after, `The job is cancelled after ${framesText(after)}. ${kept}`);
    }
    case 'pause': {
      const after = await pauseJob(blobs, jobId);
      return answer(
        after,
        `The job is paused after ${framesText(after)}. Batches that a worker has in hand are finished. To go on: npm run resume -- ${jobId}`,
      );
    }
    case 'resume': {
      const after = await resumeJob(blobs, jobId);
      return answer(
        after,
        after.heldAtCap?.message ?? `The job goes on. To follow it: npm run watch -- ${jobId}`,
      );
    }
    case 'priority': {
      const { priority } = options;
      const status = await setJobPriority(blobs, jobId, priority);
      return answer(status, `The job has priority ${priority} now.`, { priority });
    }
    case 'retry': {
      const { status, framesRetried } = await retryJob(blobs, jobId);
      const what =
        framesRetried > 0
          ? `${countedText(framesRetried, 'failed frame')} and what is missing`
          : 'what is missing';
      return answer(
        status,
        `The job starts again within half a minute, with ${what}. To follow it: npm run watch -- ${jobId}`,
        { framesRetried },
      );
    }
    case 'clean': {
      const status = await cleanJob(blobs, jobId);
      if (!options.isAll)
        return answer(
          status,
          'The pieces and segments of the job will be removed. Its source and its result stay.',
        );
      const blobsRemoved = await removeJob(blobs, jobId);
      const poison = await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison);
      await removeEntries({ poison, blobs }, (batch) => batch.jobId === jobId);
      return answer(
        status,
        `Removed the source, the result and the logs of the job (${countedText(blobsRemoved, 'blob')}). Its pieces and segments follow.`,
        { blobsRemoved },
      );
    }
  }
}

function answer(status: JobStatus | undefined, sentence: string, facts: Answer['facts'] = {}): Answer {
  return { sentence, facts: { state: status?.state ?? 'waiting', frames: status?.frames ?? null, ...facts } };
}

function framesText(status: JobStatus): string {
  const { scored, failed, expected } = status.frames;
  return expected === 0 ? 'no frame' : `${scored + failed} of ${countedText(expected, 'frame')}`;
}
