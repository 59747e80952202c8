/** One job: its pictures before and after, how far it is, what can be done, its stages and its failed frames. Follows the events. */
import { useEffect, useRef } from 'preact/hooks';

import type { JobDetail } from '../../contract.ts';
import { doneFrames, percentText, timeText } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { isOpen, modelAndSettings } from '../jobs/job-card.ts';
import { liveJob } from '../live.ts';
import { announce } from '../parts/announce.ts';
import { Notice } from '../parts/notice.ts';
import { FrameProgress } from '../parts/progress.ts';
import { useResource } from '../parts/use-resource.ts';
import { useTitle } from '../parts/use-title.ts';
import { restoreScroll } from '../route.ts';
import { JobActions } from './actions.ts';
import { Comparison } from './comparison.ts';
import { JobFacts } from './facts.ts';
import { FailedFrames } from './failed-frames.ts';
import { ResultPlayer } from './result-player.ts';
import { StageTimeline } from './stage-timeline.ts';

const DONE_STEPS = 4;
/** The job does not exist, or its id is none. */
const NO_SUCH_JOB = new Set(['JOB_UNKNOWN', 'REQUEST_INVALID']);

export function SingleJobView({ jobId }: { readonly jobId: string }): Html {
  const { content, failure, reload } = useResource<JobDetail>(`jobs/${encodeURIComponent(jobId)}`);
  const isLoaded = content !== undefined;
  useEffect(() => {
    if (isLoaded) restoreScroll();
  }, [isLoaded]);
  const live = liveJob.value?.jobId === jobId ? liveJob.value : undefined;
  const job = live ?? content;
  useTitle(job === undefined ? jobId : titleOf(job));
  // The title that has the focus is replaced.
  const isFocused = document.activeElement?.tagName === 'H1';
  if (job !== undefined) return h(LoadedJob, { job, isFocused });
  if (failure !== undefined && NO_SUCH_JOB.has(failure.code)) return h(NoSuchJob, { jobId });
  return html`
    <header class="view-head"><h1 tabindex="-1">${jobId}</h1></header>
    ${failure ? h(Notice, { trouble: failure, retry: reload }) : html`<p class="empty">Loading…</p>`}
  `;
}

function NoSuchJob({ jobId }: { readonly jobId: string }): Html {
  return html`
    <div class="empty">
      <h1 tabindex="-1">No such job</h1>
      <p>There is no job ${jobId}, or it has been removed. <a href="/">All jobs</a></p>
    </div>
  `;
}

interface LoadedJobOptions {
  readonly job: JobDetail;
  /** The title has the focus from the start. */
  readonly isFocused: boolean;
}

function LoadedJob({ job, isFocused }: LoadedJobOptions): Html {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (isFocused) title.current?.focus({ preventScroll: true });
  }, []);
  useProgressInWords(job);
  const { jobId, sourceName, doing, createdAt, error, warnings, waitsFor, result, sheet, frames } = job;
  return html`
    <header class="view-head job-head">
      <div>
        <p class="back"><a href="/">Jobs</a></p>
        <h1 tabindex="-1" ref=${title}>
          ${sourceName} <span class="state" data-doing=${doing}>${doing}</span>
        </h1>
        <p class="settings">
          ${modelAndSettings(job)} <time datetime=${createdAt}>${timeText(createdAt, new Date())}</time>
          <code>${jobId}</code>
        </p>
      </div>
      ${h(JobActions, { job })}
    </header>
    ${error && job.state === 'failed' && h(Notice, { trouble: error })}
    ${
      isOpen(job) &&
      html`
        <section class="job-progress" aria-label="Progress">
          ${h(FrameProgress, { job, label: 'Frames done' })}
          ${waitsFor !== null && html`<p class="waits">${waitsFor}</p>`}
        </section>
      `
    }
    ${h(JobFacts, { job })}
    ${
      warnings.length > 0 &&
      html`<ul class="warnings" aria-label="Notes">
        ${warnings.map((warning) => html`<li>${warning}</li>`)}
      </ul>`
    }
    ${result && h(ResultPlayer, { jobId, result })}
    ${sheet !== null && sheet.frames.length > 0 && h(Comparison, { job, sheet })} ${h(StageTimeline, { job })}
    ${frames.failed > 0 && h(FailedFrames, { job })}
  `;
}

function titleOf(job: JobDetail): string {
  return isOpen(job)
    ? `${percentText(doneFrames(job), job.frames.expected)} ${job.sourceName}`
    : job.sourceName;
}

/** Says each change of what the job does, and each quarter of its frames: not more, so that a screen reader stays usable. */
function useProgressInWords(job: JobDetail): void {
  const { expected } = job.frames;
  const quarter = expected === 0 ? 0 : Math.floor((DONE_STEPS * doneFrames(job)) / expected);
  const isFirst = useRef(true);
  useEffect(() => {
    const share = isOpen(job) && quarter > 0 ? `, ${percentText(quarter, DONE_STEPS)}` : '';
    if (!isFirst.current) announce(`${job.sourceName}: ${job.doing}${share}`);
    isFirst.current = false;
  }, [job.doing, quarter]);
}
