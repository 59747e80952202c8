/** The stages of a job as bars over its time. Stages overlap: frames are scored while others are split. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { JobDetail, JobStage } from '../../contract.ts';
import { durationText, timeText } from '../format.ts';
import { type Html, html } from '../html.ts';

const TICK_MS = 1000;

export function StageTimeline({ job }: { readonly job: JobDetail }): Html {
  const now = useSignal(Date.now());
  const isMoving = job.stages.some(({ to }) => to === null);
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => {
      now.value = Date.now();
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [isMoving]);
  if (job.stages.length === 0) return null;
  const spans = job.stages.map((stage) => spanOf(stage, now.value));
  const start = Math.min(...spans.map(({ from }) => from));
  const whole = Math.max(1, ...spans.map(({ to }) => to - start));
  return html`
    <section class="stages" aria-labelledby="stages-title">
      <h2 id="stages-title">Stages</h2>
      <ol>
        ${spans.map(
          ({ stage, from, to }) => html`
            <li key=${`${stage.name}${stage.from}`}>
              <span class="name">${stage.name}</span>
              <span class="track">
                <span
                  class=${`bar ${stage.to === null ? 'lasting' : ''}`}
                  data-stage=${stage.name}
                  style=${{ left: `${(100 * (from - start)) / whole}%`, width: `${(100 * (to - from)) / whole}%` }}
                ></span>
              </span>
              <span class="time">
                ${durationText((to - from) / 1000)}
                <span class="unseen">
                  from ${timeText(stage.from, new Date())}${stage.to === null ? ', not ended' : ''}</span
                >
              </span>
            </li>
          `,
        )}
      </ol>
    </section>
  `;
}

interface StageSpan {
  readonly stage: JobStage;
  /** In milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

function spanOf(stage: JobStage, now: number): StageSpan {
  const from = Date.parse(stage.from);
  return { stage, from, to: stage.to === null ? Math.max(from, now) : Date.parse(stage.to) };
}
