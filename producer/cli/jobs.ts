/** `npm run jobs|status|watch|logs`: shows jobs, through storage alone. See `jobs/options.ts`. */
import { createLogUpdate } from 'log-update';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { storageCommandConfig } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand, say } from '../../shared/command/run-command.ts';
import { openReachable, storageAccounts } from '../../shared/command/storage-accounts.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { quoteCommands } from '../../shared/runtime/quote-commands.ts';
import { jobUnknown } from '../control/job-errors.ts';
import {
  type JobView,
  hasNoPrices,
  imageNamesOf,
  readJob,
  readJobs,
  readSpendingMax,
  readWorkersAlive,
} from '../control/job-view.ts';
import { stateText, waitsFor } from '../control/job-words.ts';
import { secondsLeftOf } from '../control/seconds-left.ts';
import { readReport } from '../jobs/report.ts';
import { failureOf, statusBeforeWork } from '../jobs/status.ts';
import { failureLines, reportedFailures } from './enqueue/failures.ts';
import { NO_PROGRESS, showProgress } from './enqueue/progress.ts';
import { frameLogLines, frameLogText } from './jobs/frame-log.ts';
import { type LookOptions, type LookVerb, parseLookOptions } from './jobs/options.ts';
import { jobTable, jobText, waitText } from './jobs/text.ts';

const POLL_MS = 1_000;
/** Of the table of all open jobs, which reads each of them. */
const TABLE_MS = 2_000;
/** As many as fit on a screen. */
const TABLE_JOBS_MAX = 40;

type OptionsFor<Verb extends LookVerb> = Extract<LookOptions, { readonly verb: Verb }>;

const [verb = '', ...argv] = process.argv.slice(2);
const { signal } = onInterrupt();
await runCommand(argv, main, signal);

async function main(): Promise<number> {
  const options = parseLookOptions(verb as LookVerb, argv);
  if (options === null) return EXIT.ok;
  const blobs = await openReachable(await storageAccounts(storageCommandConfig()), signal);
  switch (options.verb) {
    case 'jobs':
      await list(blobs, options);
      break;
    case 'status':
      await show(blobs, options);
      break;
    case 'watch':
      return watch(blobs, options);
    case 'logs':
      await logs(blobs, options);
      break;
  }
  return EXIT.ok;
}

async function list(blobs: BlobStore, { filter, asJson }: OptionsFor<'jobs'>): Promise<void> {
  const jobs = await readJobs(blobs, filter);
  if (asJson) print(JSON.stringify({ count: jobs.length, jobs: jobs.map(viewAsJson) }));
  else if (jobs.length === 0) say('No jobs.');
  else print(jobTable(jobs, clock.now()));
}

async function show(blobs: BlobStore, { jobId, asJson }: OptionsFor<'status'>): Promise<void> {
  const job = await requireJob(blobs, jobId, 'show the job');
  const [workers, failures, report, spendingMax, isFree] = await Promise.all([
    readWorkersAlive(blobs, clock.now()),
    imageNamesOf(blobs, job).then((names) => reportedFailures(blobs, jobId, names)),
    readReport(blobs, jobId),
    readSpendingMax(blobs, job),
    hasNoPrices(blobs),
  ]);
  // A job that is retried still has the report of its earlier run.
  const hasEnded = job.status !== undefined && isTerminal(job.status.state);
  const actual = hasEnded ? (report?.actual ?? null) : null;
  if (asJson) {
    const why = waitsFor(job, workers);
    const waits = why === undefined ? null : waitText(why);
    print(
      JSON.stringify({
        ...viewAsJson(job),
        waitsFor: waits,
        workers: workers.length,
        spendingMax,
        failures,
        actual,
      }),
    );
    return;
  }
  const text = jobText({
    job,
    workers,
    failures: failureLines(failures),
    actual,
    spendingMax,
    isFree,
    now: clock.now(),
  });
  print(quoteCommands(text));
}

function viewAsJson(job: JobView): object {
  const { jobId, request, priority, status } = job;
  const { source, model, parameters, createdAt } = request;
  const secondsLeft = status === undefined ? null : secondsLeftOf(status, clock.now());
  return {
    ...(status ?? statusBeforeWork(jobId, createdAt)),
    doing: stateText(job),
    source,
    model,
    parameters,
    priority,
    createdAt,
    secondsLeft,
  };
}

/** Ctrl-C is how to leave, and no error. */
async function watch(blobs: BlobStore, options: OptionsFor<'watch'>): Promise<number> {
  try {
    if (options.jobId === null) await watchAll(blobs, options);
    else await watchJob(blobs, options.jobId, options);
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
}

async function requireJob(blobs: BlobStore, jobId: string, action: string): Promise<JobView> {
  const job = await readJob(blobs, jobId);
  if (job === undefined) throw jobUnknown(jobId, action);
  return job;
}

/** Until the job has ended. Throws its error. */
async function watchJob(
  blobs: BlobStore,
  jobId: string,
  { asJson }: { readonly asJson: boolean },
): Promise<void> {
  const progress = asJson ? NO_PROGRESS : showProgress();
  let before = '';
  let said: string | undefined;
  try {
    for (;;) {
      const job = await requireJob(blobs, jobId, 'watch the job');
      const { status } = job;
      if (status !== undefined) progress.status(status, clock.now());
      const json = JSON.stringify(viewAsJson(job));
      if (asJson && json !== before) print(json);
      before = json;
      if (status !== undefined && isTerminal(status.state)) {
        progress.stop();
        if (status.state !== 'completed') throw failureOf(status);
        if (!asJson) say(`The job is completed. To get its result: npm run fetch -- ${jobId}`);
        return;
      }
      const why = waitsFor(job, await readWorkersAlive(blobs, clock.now()));
      const text = why && waitText(why);
      if (text !== undefined && text !== said) progress.say(text);
      said = text;
      await clock.sleep(POLL_MS, signal);
    }
  } finally {
    progress.stop();
  }
}

/** On a terminal, a table that is drawn again; else a table on each change. Until Ctrl-C. */
async function watchAll(blobs: BlobStore, { asJson }: { readonly asJson: boolean }): Promise<void> {
  const isLive = process.stdout.isTTY && !asJson;
  const update = createLogUpdate(process.stdout);
  let before = '';
  for (;;) {
    const filter = { states: ['waiting', 'running'], search: null, max: TABLE_JOBS_MAX } as const;
    const jobs = await readJobs(blobs, filter);
    const text = asJson
      ? JSON.stringify({ jobs: jobs.map(viewAsJson) })
      : jobs.length === 0
        ? 'No open jobs.'
        : jobTable(jobs, clock.now());
    if (isLive) update(`${text}\n\nPress Ctrl-C to leave.`);
    else if (text !== before) print(text);
    before = text;
    await clock.sleep(TABLE_MS, signal);
  }
}

async function logs(blobs: BlobStore, options: OptionsFor<'logs'>): Promise<void> {
  const { jobId, frame, onlyFailed, asJson } = options;
  const { status } = await requireJob(blobs, jobId, 'print the logs');
  const lines = await frameLogLines(blobs, jobId, { frame, onlyFailed });
  if (asJson) for (const line of lines) print(JSON.stringify(line));
  else if (lines.length === 0) {
    const isFiltered = frame !== null || onlyFailed;
    say(
      status !== undefined && isTerminal(status.state)
        ? `The logs of this job have no ${isFiltered ? 'such ' : ''}line.`
        : `${isFiltered ? 'No line matches' : 'No lines'} yet. Lines appear when a worker has ended its delivery of a batch.`,
    );
  } else print(frameLogText(lines));
}
