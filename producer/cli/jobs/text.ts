/** Jobs as text: a table, and one job in detail with what it waits for. PURE. */
import { bytesText, clockTime, countedText, instantText, textTable } from '../../../shared/command/text.ts';
import type { Heartbeat } from '../../../shared/contract/heartbeat.ts';
import { IMAGE_LIST_SUFFIX } from '../../../shared/contract/image-list.ts';
import type { JobActual } from '../../../shared/contract/job-actual.ts';
import { type JobStatus, isTerminal } from '../../../shared/contract/job.ts';
import { quoteCommands } from '../../../shared/runtime/quote-commands.ts';
import type { JobView } from '../../control/job-view.ts';
import { type WaitReason, stateText, waitsFor } from '../../control/job-words.ts';
import { secondsLeftOf } from '../../control/seconds-left.ts';
import { actualRows } from '../actual-text.ts';

const HEADER = ['JOB', 'STATE', 'PRIORITY', 'MODEL', 'FRAMES', 'DONE', 'FAILED', 'LEFT', 'COST', 'CREATED'];

export function jobTable(jobs: readonly JobView[], now: Date): string {
  const rows = jobs.map((job) => {
    const { jobId, request, priority, status } = job;
    const left = status === undefined ? null : secondsLeftOf(status, now);
    return [
      jobId,
      stateText(job),
      priority,
      modelText(request),
      status === undefined || status.frames.expected === 0 ? '-' : String(status.frames.expected),
      status === undefined ? '-' : percentText(status),
      String(status?.frames.failed ?? 0),
      left === null ? '-' : clockTime(left),
      costText(status),
      instantText(request.createdAt),
    ];
  });
  return textTable(HEADER, rows);
}

/** `painter (candy)`, `upscaler@2`. */
function modelText({ model, parameters }: JobView['request']): string {
  const name = model.version === undefined ? model.name : `${model.name}@${model.version}`;
  return parameters['style'] === undefined ? name : `${name} (${parameters['style']})`;
}

function percentText({ frames }: JobStatus): string {
  const done = frames.scored + frames.failed + frames.underway;
  return frames.expected === 0 ? '-' : `${Math.floor((done * 100) / frames.expected)} %`;
}

function costText(status: JobStatus | undefined): string {
  return status === undefined || status.spent === 0 ? '-' : String(status.spent);
}

/** Until a job has ended, its failures are only in the logs of its workers. */
function failedHint({ jobId }: JobStatus): string {
  return `To see why: npm run logs -- ${jobId} --failed`;
}

function costSoFar(
  { spent, state }: JobStatus,
  { spendingMax, isFree }: Pick<JobDetails, 'spendingMax' | 'isFree'>,
): string {
  if (isFree)
    return `not known: the fleet has no prices${spendingMax === null ? '' : `, and the cap of ${spendingMax} has no effect`}`;
  if (isTerminal(state)) return String(spent);
  return `${spent} so far${spendingMax === null ? '' : `, of at most ${spendingMax}`}`;
}

export interface JobDetails {
  readonly job: JobView;
  readonly workers: readonly Heartbeat[];
  /** Lines about failed frames. */
  readonly failures: readonly string[];
  /** Null: no cap. */
  readonly spendingMax: number | null;
  /** The fleet has no prices. */
  readonly isFree: boolean;
  /** Of a job that has ended with a report. */
  readonly actual: JobActual | null;
  readonly now: Date;
}

export function jobText({ job, workers, failures, actual, spendingMax, isFree, now }: JobDetails): string {
  const { jobId, request, priority, status } = job;
  const { source, deadlineAt } = request;
  const name = source.kind === 'images' ? source.name.slice(0, -IMAGE_LIST_SUFFIX.length) : source.name;
  const size = source.kind === 'images' ? 'still images' : bytesText(source.sizeBytes);
  const unit = source.kind === 'images' ? 'image' : 'frame';
  const why = waitsFor(job, workers);
  const rows: (readonly [string, string])[] = [
    ['State', stateText(job)],
    ...(why === undefined ? [] : [['', waitText(why)] as const]),
    ...(status?.pausedSince ? [['Paused', instantText(status.pausedSince)] as const] : []),
    ['Source', `${name} (${size})`],
    ['Model', modelText(request)],
    ['Priority', priority],
    ['Created', instantText(request.createdAt)],
    ...(deadlineAt === undefined ? [] : [['Deadline', instantText(deadlineAt)] as const]),
    ...(status === undefined
      ? []
      : progressRows(status, {
          unit,
          areFailuresListed: failures.length > 0,
          now,
        })),
    ...(actual === null ? [] : actualRows(actual)),
    ...(status === undefined || actual?.micros
      ? []
      : [['Cost', costSoFar(status, { spendingMax, isFree })] as const]),
  ];
  const notes = (status?.warnings ?? []).map((warning) => ['Note', warning] as const);
  const width = 11;
  return [
    `Job ${jobId}`,
    ...[...rows, ...notes].map(([label, text]) => `  ${label.padEnd(width)}${text}`),
    ...(failures.length === 0 ? [] : [`  Failed ${unit}s:`, ...failures.map((line) => `  ${line}`)]),
  ].join('\n');
}

export function waitText({ reason, next }: WaitReason): string {
  return next === undefined ? reason : `${reason} ${quoteCommands(next)}`;
}

function progressRows(
  status: JobStatus,
  {
    unit,
    areFailuresListed,
    now,
  }: { readonly unit: string; readonly areFailuresListed: boolean; readonly now: Date },
): (readonly [string, string])[] {
  const { expected, scored, failed, underway } = status.frames;
  const left = secondsLeftOf(status, now);
  const time = left === null ? '' : `, about ${clockTime(left)} left`;
  return [
    [
      'Progress',
      `${scored + failed + underway} of ${countedText(expected, unit)} (${percentText(status)})${time}`,
    ],
    ...(failed === 0
      ? []
      : [['Failed', areFailuresListed ? String(failed) : `${failed}. ${failedHint(status)}`] as const]),
    ['Updated', instantText(status.updatedAt)],
    ...(status.result === null
      ? []
      : [['Result', `results/${status.result.blobName} (${bytesText(status.result.sizeBytes)})`] as const]),
    ...(status.error === null ? [] : [['Error', `${status.error.code}: ${status.error.message}`] as const]),
    ...(typeof status.error?.hint === 'string' ? [['', status.error.hint] as const] : []),
  ];
}
