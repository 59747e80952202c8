/** Jobs as the page shows them. PURE. */
import { IMAGE_LIST_SUFFIX } from '../../shared/contract/image-list.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { type LedgerJob, priorityOf } from '../../shared/redis/ledger-job.ts';
import type { JobAction } from '../control/job-orders.ts';
import type { JobView } from '../control/job-view.ts';
import { stateText } from '../control/job-words.ts';
import { secondsLeftOf } from '../control/seconds-left.ts';
import { type OpenJob, statusBeforeWork } from '../jobs/status.ts';
import type { JobSummary } from './contract.ts';

export function viewOfOpen({ job, status }: OpenJob): JobView {
  return { jobId: job.jobId, request: job.definition.request, priority: priorityOf(job), status };
}

/** `thumbnailVersion` of an ended job follows from its status, because its contact sheet no longer changes. */
export function jobSummary(view: JobView, thumbnailVersion: string, now: Date): JobSummary {
  const { jobId, request, priority, status } = view;
  const { source, model, createdAt } = request;
  const { state, updatedAt, frames, spent, result } = status ?? statusBeforeWork(jobId, createdAt);
  const { expected, split, scored, failed, underway } = frames;
  const left = status === undefined ? null : secondsLeftOf(status, now);
  return {
    jobId,
    sourceName: source.kind === 'images' ? source.name.slice(0, -IMAGE_LIST_SUFFIX.length) : source.name,
    kind: source.kind ?? 'video',
    state,
    doing: stateText(view),
    model: model.name,
    settings: settingsText(request.parameters),
    priority,
    createdAt,
    updatedAt,
    frames: { expected, split, scored, failed, underway },
    secondsLeft: left === null ? null : Math.round(left),
    spent,
    resultBytes: result?.sizeBytes ?? null,
    thumbnailVersion,
  };
}

/** Whether a visitor would see a difference. */
export function isSameSummary(before: JobSummary, now: JobSummary): boolean {
  return shownText(before) === shownText(now);
}

function shownText(summary: JobSummary): string {
  return JSON.stringify({ ...summary, updatedAt: '' });
}

/** `great-wave`, `candy, not steady`, `threshold 0.5`. */
function settingsText(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => {
      if (name === 'style') return value;
      if (name === 'steady') return value === 'off' ? 'not steady' : 'steady';
      return `${name} ${value}`;
    })
    .join(', ');
}

/** What may be done with a job now. */
export function actionsFor({ status }: JobView): JobAction[] {
  if (status === undefined || !isTerminal(status.state))
    return ['cancel', (status?.pausedSince ?? null) === null ? 'pause' : 'resume', 'priority'];
  const hasRest = status.state !== 'completed' || status.frames.failed > 0;
  return hasRest ? ['retry', 'clean'] : ['clean'];
}

export function isOver({ status }: Pick<JobView, 'status'>): boolean {
  return status !== undefined && isTerminal(status.state);
}

/** Changes with what a contact sheet may show: the split, and the share of frames that are scored. */
export function progressMark({ splitNumber, framesScored, framesFailed, framesExpected }: LedgerJob): string {
  return `${splitNumber}-${Math.floor(((framesScored + framesFailed) * 20) / Math.max(1, framesExpected))}`;
}
