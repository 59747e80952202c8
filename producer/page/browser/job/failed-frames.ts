/** The frames that could not be scored, as pictures with their reasons: a page of them at a time, however many there are. */
import { useSignal } from '@preact/signals';

import type { FailedFrameSummary, JobDetail } from '../../contract.ts';
import { countText, countWithNoun, unitOf } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { Notice } from '../parts/notice.ts';
import { useResource } from '../parts/use-resource.ts';
import { RetryButton } from './retry-button.ts';

const PAGE_FRAMES = 24;

export function FailedFrames({ job }: { readonly job: JobDetail }): Html {
  const { jobId, frames } = job;
  const from = useSignal(0);
  const path = `jobs/${encodeURIComponent(jobId)}/failed?from=${from.value}&limit=${PAGE_FRAMES}`;
  const { content, failure, reload } = useResource<readonly FailedFrameSummary[]>(path);
  const end = from.value + (content?.length ?? 0);
  return html`
    <section class="failed-frames" aria-labelledby="failed-title">
      <header>
        <h2 id="failed-title">${countWithNoun(frames.failed, `failed ${unitOf(job)}`)}</h2>
        ${h(RetryButton, { job })}
      </header>
      ${failure && h(Notice, { trouble: failure, retry: reload })}
      <ul>
        ${content?.map((frame) => html`<li key=${frame.frameIndex}>${h(FailedPicture, { jobId, frame })}</li>`)}
      </ul>
      ${
        frames.failed > PAGE_FRAMES &&
        html`
          <nav class="pages" aria-label="Pages of failed frames">
            <button
              type="button"
              disabled=${from.value === 0}
              onClick=${() => {
                from.value = Math.max(0, from.value - PAGE_FRAMES);
              }}
            >
              Previous
            </button>
            <span>${countText(from.value + 1)} to ${countText(end)}</span>
            <button
              type="button"
              disabled=${end >= frames.failed}
              onClick=${() => {
                from.value += PAGE_FRAMES;
              }}
            >
              Next
            </button>
          </nav>
        `
      }
    </section>
  `;
}

interface FailedPictureOptions {
  readonly jobId: string;
  readonly frame: FailedFrameSummary;
}

function FailedPicture({ jobId, frame }: FailedPictureOptions): Html {
  const { frameIndex, name, kind, message, attempts } = frame;
  const isMissing = useSignal(false);
  const title = name ?? `Frame ${countText(frameIndex)}`;
  return html`
    <figure>
      ${
        isMissing.value
          ? html`<p class="no-picture">The picture cannot be shown.</p>`
          : html`<img
              src=${`/api/jobs/${jobId}/frames/${frameIndex}`}
              alt=${`${title}, as it is in the source`}
              loading="lazy"
              onError=${() => {
                isMissing.value = true;
              }}
            />`
      }
      <figcaption>
        <strong>${title}</strong>
        <span class="reason">${message}</span>
        <span class="kind">${kind}, ${countWithNoun(attempts, 'attempt')}</span>
      </figcaption>
    </figure>
  `;
}
