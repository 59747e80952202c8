/** The frames that could not be scored, as pictures with their reasons: a page of them at a time, however many there are. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { FailedFrameSummary, JobDetail } from '../../contract.ts';
import { countText, countWithNoun, unitOf } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { Notice } from '../parts/notice.ts';
import { useResource } from '../parts/use-resource.ts';
import { RetryButton } from './retry-button.ts';

const PAGE_FRAMES = 24;
/** A longer reason is shown in two lines until it is opened. */
const SHORT_CHARACTERS = 80;

export function FailedFrames({ job }: { readonly job: JobDetail }): Html {
  const { jobId, frames } = job;
  const from = useSignal(0);
  const path = `jobs/${encodeURIComponent(jobId)}/failed?from=${from.value}&limit=${PAGE_FRAMES}`;
  const { content, isCurrent, failure, reload } = useResource<readonly FailedFrameSummary[]>(path);
  const known = useRef(frames.failed);
  useEffect(() => {
    if (known.current !== frames.failed) reload();
    known.current = frames.failed;
    // A retry leaves fewer of them.
    if (from.peek() >= frames.failed) from.value = 0;
  }, [frames.failed]);
  // The pictures of the page before stay until the next ones are there, with their numbers.
  const shown = useRef(from.value);
  if (isCurrent) shown.current = from.value;
  const end = shown.current + (content?.length ?? 0);
  const turn = (frameCount: number) => () => {
    if (isCurrent) from.value += frameCount;
  };
  return html`
    <section class="failed-frames" aria-labelledby="failed-title">
      <header>
        <h2 id="failed-title">${countWithNoun(frames.failed, `failed ${unitOf(job)}`)}</h2>
        ${h(RetryButton, { job })}
      </header>
      ${failure && h(Notice, { trouble: failure, retry: reload })}
      ${content === undefined && failure === undefined && html`<p class="hint">Loading…</p>`}
      <ul aria-busy=${!isCurrent}>
        ${content?.map((frame) => html`<li key=${frame.frameIndex}>${h(FailedPicture, { jobId, frame })}</li>`)}
      </ul>
      ${
        frames.failed > PAGE_FRAMES &&
        html`
          <nav class="pages" aria-label="Pages of failed frames">
            ${h(PageButton, { label: 'Previous', isEnd: shown.current === 0, onTurn: turn(-PAGE_FRAMES) })}
            <span>
              ${`${countText(Math.min(shown.current + 1, end))} to ${countText(end)} of ${countText(frames.failed)}`}
            </span>
            ${h(PageButton, { label: 'Next', isEnd: end >= frames.failed, onTurn: turn(PAGE_FRAMES) })}
          </nav>
        `
      }
    </section>
  `;
}

interface PageButtonOptions {
  readonly label: string;
  /** There is no page on this side. */
  readonly isEnd: boolean;
  readonly onTurn: () => void;
}

/** Keeps the focus at the end: a disabled button would lose it. */
function PageButton({ label, isEnd, onTurn }: PageButtonOptions): Html {
  return html`
    <button type="button" aria-disabled=${isEnd} onClick=${() => !isEnd && onTurn()}>${label}</button>
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
        ${h(Reason, { message })}
        <span class="kind">${kind}, ${countWithNoun(attempts, 'attempt')}</span>
      </figcaption>
    </figure>
  `;
}

function Reason({ message }: { readonly message: string }): Html {
  if (message.length <= SHORT_CHARACTERS) return html`<span class="reason">${message}</span>`;
  return html`
    <details class="reason">
      <summary><span>${message}</span></summary>
    </details>
  `;
}
