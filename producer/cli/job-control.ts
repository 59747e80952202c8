/**
 * `npm run cancel|pause|resume|priority|retry|clean -- JOB`: steers a job through storage alone. Cancel, pause and resume wait until the
 * producer has applied them. See `job-control/options.ts`.
 */
import { randomBytes } from 'node:crypto';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { storageCommandConfig } from '../../shared/command/config.ts';
import { print, runCommand, say } from '../../shared/command/run-command.ts';
import { openReachable, storageAccounts } from '../../shared/command/storage-accounts.ts';
import {
  JOB_CONTROLS_CHANGED_BLOB,
  controlBlob,
  jobPrefix,
  redriveBlob,
  triggerBlob,
} from '../../shared/contract/blob-names.ts';
import { type JobControl, decodeJobControl, encodeJobControl } from '../../shared/contract/job-control.ts';
import { type JobStatus, isTerminal } from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import { encodeRedriveRequest } from '../../shared/contract/redrive-request.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { readReport } from '../jobs/report.ts';
import { readStatus } from '../jobs/status.ts';
import { jobEnded, jobUnknown } from './job-argument.ts';
import {
  ACTIONS,
  type ControlOptions,
  type ControlVerb,
  parseControlOptions,
} from './job-control/options.ts';

/** The producer looks every two seconds. */
const CONFIRM_MS = 20_000;
const POLL_MS = 500;
const WRITE_TRIES = 5;

const [verb = '', ...argv] = process.argv.slice(2);
await runCommand(argv, main);

async function main(): Promise<number> {
  const options = parseControlOptions(verb as ControlVerb, argv);
  if (options === null) return EXIT.ok;
  const blobs = await openReachable(await storageAccounts(storageCommandConfig()));
  const { jobId, asJson } = options;
  if ((await blobs.stat('incoming', triggerBlob(jobId))) === undefined)
    throw jobUnknown(jobId, ACTIONS[options.verb]);
  const { sentence, facts } = await carryOut(blobs, options);
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

async function carryOut(blobs: BlobStore, options: ControlOptions): Promise<Answer> {
  const { jobId } = options;
  const status = await readStatus(blobs, jobId);
  const hasEnded = status !== undefined && isTerminal(status.state);
  switch (options.verb) {
    case 'cancel': {
      requireOpen(options, status);
      await writeControl(blobs, jobId, (before) => ({
        ...before,
        order: 'cancel',
        ...(options.isCleaned && { clean: 'frames' }),
      }));
      const after = await confirmed(blobs, jobId, ({ state }) => isTerminal(state));
      const kept = options.isCleaned
        ? 'What was scored will be removed.'
        : `What was scored is kept for now. To run the rest: npm run retry -- ${jobId}`;
      return answer(after, `The job is cancelled after ${framesText(after)}. ${kept}`);
    }
    case 'pause': {
      requireOpen(options, status);
      await writeControl(blobs, jobId, (before) =>
        before.order === 'pause' ? before : { ...before, order: 'pause', pauses: before.pauses + 1 },
      );
      const after = await confirmed(
        blobs,
        jobId,
        ({ pausedSince, state }) => pausedSince !== null || isTerminal(state),
      );
      return answer(
        after,
        `The job is paused after ${framesText(after)}. Batches that a worker has in hand are finished. To go on: npm run resume -- ${jobId}`,
      );
    }
    case 'resume': {
      requireOpen(options, status);
      await writeControl(blobs, jobId, (before) => ({ ...before, order: 'run' }));
      const after = await confirmed(blobs, jobId, ({ pausedSince }) => pausedSince === null);
      return answer(after, `The job goes on. To follow it: npm run watch -- ${jobId}`);
    }
    case 'priority': {
      requireOpen(options, status);
      const { priority } = options;
      await writeControl(blobs, jobId, (before) => ({ ...before, priority }));
      return answer(status, `The job has priority ${priority} now.`, { priority });
    }
    case 'retry':
      return retry(blobs, jobId, status);
    case 'clean':
      if (!hasEnded)
        throw new TransientError('JOB_NOT_FINISHED', `Cannot clean up: the job ${jobId} has not ended.`, {
          hint: `Cancel it first: npm run cancel -- ${jobId} --clean`,
        });
      return clean(blobs, options, status);
  }
}

function answer(status: JobStatus | undefined, sentence: string, facts: Answer['facts'] = {}): Answer {
  return { sentence, facts: { state: status?.state ?? 'waiting', frames: status?.frames ?? null, ...facts } };
}

function framesText(status: JobStatus): string {
  const { scored, failed, expected } = status.frames;
  return expected === 0 ? 'no frame' : `${scored + failed} of ${expected} frames`;
}

function requireOpen({ verb: action, jobId }: ControlOptions, status: JobStatus | undefined): void {
  if (status === undefined || !isTerminal(status.state)) return;
  const hint =
    status.state === 'completed'
      ? `To get its result: npm run fetch -- ${jobId}`
      : `To run what is left of it: npm run retry -- ${jobId}`;
  throw jobEnded(status, ACTIONS[action], hint);
}

/** Another writer may change it at the same time: then it is read again. */
async function writeControl(
  blobs: BlobStore,
  jobId: string,
  change: (before: JobControl) => JobControl,
): Promise<void> {
  const none: JobControl = { version: 1, jobId, order: 'run', pauses: 0, setAt: clock.now().toISOString() };
  for (let tries = 0; tries < WRITE_TRIES; tries += 1) {
    const found = await blobs.getVersion('control', controlBlob(jobId));
    const before = found && decodeJobControl(found.bytes.toString('utf8'), jobId);
    const control = { ...change(before ?? none), setAt: clock.now().toISOString() };
    const options = { contentType: 'application/json', onlyIfEtag: found?.etag ?? null };
    const etag = await blobs.replace('control', controlBlob(jobId), encodeJobControl(control), options);
    if (etag === undefined) continue;
    await blobs.put('control', JOB_CONTROLS_CHANGED_BLOB, control.setAt);
    return;
  }
  throw new TransientError('STORAGE_UNAVAILABLE', `The control of the job ${jobId} keeps changing.`, {
    hint: 'Another command or page changes it at the same time. Run the command again.',
  });
}

/** The status in which the producer has applied the order. Throws JOB_NOT_FINISHED if that takes too long. */
async function confirmed(
  blobs: BlobStore,
  jobId: string,
  isApplied: (status: JobStatus) => boolean,
): Promise<JobStatus> {
  const giveUpAtMs = clock.monotonicMs() + CONFIRM_MS;
  for (;;) {
    const status = await readStatus(blobs, jobId);
    if (status !== undefined && isApplied(status)) return status;
    if (clock.monotonicMs() >= giveUpAtMs)
      throw new TransientError(
        'STACK_FAILED',
        `No producer has applied this within ${CONFIRM_MS / 1000} s. The order is stored, and holds from when one runs.`,
        { hint: `Check that a producer runs. To see the job: npm run status -- ${jobId}` },
      );
    await clock.sleep(POLL_MS);
  }
}

/** Requests a retry of what failed or is missing. Frames whose segments are stored are not scored again. */
async function retry(blobs: BlobStore, jobId: string, status: JobStatus | undefined): Promise<Answer> {
  if (status === undefined || !isTerminal(status.state))
    throw new TransientError('JOB_NOT_FINISHED', `Cannot retry: the job ${jobId} has not ended.`, {
      hint: `To follow it: npm run watch -- ${jobId}`,
    });
  const failed = (await readReport(blobs, jobId))?.failedFrames.map(({ frameIndex }) => frameIndex) ?? [];
  if (failed.length === 0 && status.state === 'completed')
    throw new PermanentError(
      'JOB_ENDED',
      `There is nothing to retry: every frame of the job ${jobId} was scored.`,
      {
        hint: `To get its result: npm run fetch -- ${jobId}`,
      },
    );
  await writeControl(blobs, jobId, ({ clean: _clean, ...before }) => ({ ...before, order: 'run' }));
  const requestedAt = clock.now().toISOString();
  const id = `retry-${randomBytes(4).toString('hex')}`;
  for (let start = 0; start === 0 || start < failed.length; start += BATCH_FRAMES_MAX) {
    const poisonId = `${id}-${start}`;
    const frames = toRanges(failed.slice(start, start + BATCH_FRAMES_MAX));
    const request = encodeRedriveRequest({ version: 1, poisonId, frames, requestedAt });
    await blobs.put('control', redriveBlob(jobId, poisonId), request, { contentType: 'application/json' });
  }
  const what =
    failed.length > 0
      ? `${failed.length} failed ${failed.length === 1 ? 'frame' : 'frames'} and what is missing`
      : 'what is missing';
  return answer(
    status,
    `The job starts again within half a minute, with ${what}. To follow it: npm run watch -- ${jobId}`,
    {
      framesRetried: failed.length,
    },
  );
}

/** Removes what is stored of an ended job. The trigger goes first, because a job with a trigger and no status would start again. */
async function clean(
  blobs: BlobStore,
  { jobId, isAll }: Extract<ControlOptions, { verb: 'clean' }>,
  status: JobStatus | undefined,
): Promise<Answer> {
  await writeControl(blobs, jobId, (before) => ({ ...before, clean: 'frames' }));
  if (!isAll)
    return answer(
      status,
      'The pieces and segments of the job will be removed. Its source and its result stay.',
    );
  await blobs.remove('incoming', triggerBlob(jobId));
  let removed = 1;
  for (const container of ['incoming', 'results', 'logs'] as const)
    for await (const { name } of blobs.list(container, { prefix: jobPrefix(jobId) })) {
      await blobs.remove(container, name);
      removed += 1;
    }
  return answer(
    status,
    `Removed the source, the result and the logs of the job (${removed} blobs). Its pieces and segments follow.`,
    {
      blobsRemoved: removed,
    },
  );
}
