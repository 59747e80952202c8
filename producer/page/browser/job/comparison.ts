/** A frame before and after the model, with a divide that the visitor moves: by pointer, touch or the arrow keys. */
import { useSignal } from '@preact/signals';

import type { ContactSheet, JobDetail } from '../../contract.ts';
import { countText } from '../format.ts';
import { type Html, html } from '../html.ts';

interface ComparisonOptions {
  readonly job: JobDetail;
  readonly sheet: ContactSheet;
}

/** In percent of the width, from the left. */
const MIDDLE = 50;

export function Comparison({ job, sheet }: ComparisonOptions): Html {
  const chosen = useSignal(0);
  const divide = useSignal(MIDDLE);
  const cell = Math.min(chosen.value, sheet.frames.length - 1);
  const picture = (side: 'before' | 'after', at: number) =>
    `/api/jobs/${job.jobId}/sheet/${side}/${at}?v=${encodeURIComponent(sheet.version)}`;
  const frame = frameName(job, sheet, cell);
  const move = (event: Event) => {
    divide.value = Number((event.target as HTMLInputElement).value);
  };
  return html`
    <section class="comparison" aria-labelledby="comparison-title">
      <h2 id="comparison-title">Before and after</h2>
      <figure style=${{ '--width': `${sheet.width}px`, '--aspect': sheet.width / sheet.height }}>
        <div class="halves" style=${{ '--divide': `${divide.value}%` }}>
          <img src=${picture('before', cell)} alt=${`${frame} before the model`} />
          <img class="after" src=${picture('after', cell)} alt=${`${frame} after the model`} />
          <span class="divide" aria-hidden="true"></span>
          <input
            type="range"
            min="0"
            max="100"
            value=${divide.value}
            onInput=${move}
            aria-label="Divide between before, on the left, and after"
            aria-valuetext=${`${divide.value} % before, ${100 - divide.value} % after`}
          />
        </div>
        <figcaption><span>before</span><span>${frame}</span><span>after</span></figcaption>
      </figure>
      ${
        sheet.frames.length > 1 &&
        html`
          <fieldset class="filmstrip">
            <legend class="unseen">Frame</legend>
            ${sheet.frames.map(
              (frameIndex, at) => html`
                <label key=${frameIndex}>
                  <input
                    type="radio"
                    name="cell"
                    checked=${at === cell}
                    onChange=${() => {
                      chosen.value = at;
                    }}
                  />
                  <img src=${picture('after', at)} alt=${frameName(job, sheet, at)} loading="lazy" />
                </label>
              `,
            )}
          </fieldset>
        `
      }
    </section>
  `;
}

function frameName(job: JobDetail, { frames }: ContactSheet, cell: number): string {
  return `${job.kind === 'images' ? 'Image' : 'Frame'} ${countText(frames[cell] ?? 0)}`;
}
