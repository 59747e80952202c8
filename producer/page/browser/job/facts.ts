/** The figures of a job. */
import type { JobDetail } from '../../contract.ts';
import {
  countText,
  doneFrames,
  doneText,
  durationText,
  percentText,
  secondsBetween,
  sizeText,
  timeLeftText,
  moneyText,
} from '../format.ts';
import { type Html, html } from '../html.ts';
import { isOpen } from '../jobs/job-card.ts';
import { hasPrices } from '../me.ts';

export function JobFacts({ job }: { readonly job: JobDetail }): Html {
  const { frames, kind, secondsLeft, spent, result } = job;
  const facts: (readonly [string, string] | false)[] = [
    isOpen(job) && ['Done', frames.expected === 0 ? '–' : percentText(doneFrames(job), frames.expected)],
    [kind === 'images' ? 'Images' : 'Frames', doneText(job)],
    frames.failed > 0 && ['Failed', countText(frames.failed)],
    isOpen(job) && ['Time left', secondsLeft === null ? '–' : timeLeftText(secondsLeft)],
    !isOpen(job) && ['Took', durationText(secondsTaken(job))],
    hasPrices.value && ['Cost', moneyText(spent)],
    result !== null && ['Result', sizeText(result.sizeBytes)],
  ];
  return html`
    <dl class="facts">
      ${facts
        .filter((fact) => fact !== false)
        .map(
          ([name, value]) =>
            html`<div key=${name}>
              <dt>${name}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
    </dl>
  `;
}

/** From its first stage, which begins anew with a retry, to the end of its last. */
function secondsTaken({ stages, createdAt, updatedAt }: JobDetail): number {
  const ends = stages.map(({ to }) => to ?? updatedAt).toSorted();
  return secondsBetween(stages[0]?.from ?? createdAt, ends.at(-1) ?? updatedAt);
}
