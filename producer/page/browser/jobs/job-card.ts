/** A job in the list: its picture, its name, and how far it is. */

import type { JobSummary } from '../../contract.ts';
import {
  countWithNoun,
  countText,
  doneFrames,
  percentText,
  sizeText,
  timeLeftText,
  timeText,
  moneyText,
  unitOf,
} from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { hasPrices } from '../me.ts';
import { FrameProgress } from '../parts/progress.ts';

/** The lines below the picture, in pixels: see `.job-card` in style.css. */
const TEXT_HEIGHT = 108;

export function jobCardHeight(width: number): number {
  return Math.round((width * 9) / 16) + TEXT_HEIGHT;
}

export function JobCard({ job }: { readonly job: JobSummary }): Html {
  const { jobId, sourceName, doing, thumbnailVersion, createdAt } = job;
  const picture = `/api/jobs/${jobId}/thumbnail?v=${encodeURIComponent(thumbnailVersion)}`;
  // Before the first contact sheet, the source's first frame, once it is stored.
  const hasPicture = thumbnailVersion !== '' || job.frames.split > 0;
  return html`
    <article class="job-card">
      <a href=${`/jobs/${jobId}`}>
        <span class="picture">
          ${
            hasPicture &&
            html`<img
              src=${picture}
              alt=""
              loading="lazy"
              decoding="async"
              onLoad=${showPicture}
              onError=${hidePicture}
            />`
          }
        </span>
        <span class="line">
          <span class="name">${sourceName}</span>
          <span class="state" data-doing=${doing}>${doing}</span>
        </span>
      </a>
      <p class="settings">
        ${modelAndSettings(job)} <time datetime=${createdAt}>${timeText(createdAt, new Date())}</time>
      </p>
      ${isOpen(job) && h(FrameProgress, { job, label: `Progress of ${sourceName}` })}
      <p class="figures">${figuresOf(job).join(' · ')}</p>
    </article>
  `;
}

function showPicture({ currentTarget }: Event): void {
  (currentTarget as HTMLElement).style.visibility = 'visible';
}

/** The job has been cleaned up, and has no picture any more. */
function hidePicture({ currentTarget }: Event): void {
  (currentTarget as HTMLElement).style.visibility = 'hidden';
}

export function isOpen({ state }: JobSummary): boolean {
  return state === 'waiting' || state === 'running';
}

export function modelAndSettings({ model, settings }: JobSummary): string {
  return settings === '' ? model : `${model} · ${settings}`;
}

function figuresOf(job: JobSummary): string[] {
  const { frames, secondsLeft, spent, resultBytes } = job;
  const all = countWithNoun(frames.expected, unitOf(job));
  return [
    // Before the split, the number is not known.
    ...(frames.expected === 0
      ? []
      : [isOpen(job) ? `${percentText(doneFrames(job), frames.expected)} of ${all}` : all]),
    ...(isOpen(job) && secondsLeft !== null ? [`${timeLeftText(secondsLeft)} left`] : []),
    ...(resultBytes === null ? [] : [sizeText(resultBytes)]),
    ...(hasPrices.value ? [`cost ${moneyText(spent)}`] : []),
    ...(frames.failed > 0 ? [`${countText(frames.failed)} failed`] : []),
  ];
}
