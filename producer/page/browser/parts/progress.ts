/** A bar of a job's frames: split behind scored behind failed. */
import type { JobSummary } from '../../contract.ts';
import { countText, doneFrames, doneText, percentText, unitOf } from '../format.ts';
import { type Html, html } from '../html.ts';

interface FrameProgressOptions {
  readonly job: JobSummary;
  readonly label: string;
}

export function FrameProgress({ job, label }: FrameProgressOptions): Html {
  const { expected, split, failed } = job.frames;
  const done = doneFrames(job);
  const share = (count: number) => ({
    width: `${expected === 0 ? 0 : Math.min(100, (100 * count) / expected)}%`,
  });
  const failures = failed === 0 ? '' : `, ${countText(failed)} failed`;
  return html`
    <div
      class="progress"
      role="progressbar"
      aria-label=${label}
      aria-valuemin="0"
      aria-valuemax=${expected}
      aria-valuenow=${done}
      aria-valuetext=${`${percentText(done, expected)}: ${doneText(job)} ${unitOf(job)}s${failures}`}
    >
      <span class="split" style=${share(split)}></span>
      <span class="failed" style=${share(done)}></span>
      <span class="scored" style=${share(done - failed)}></span>
    </div>
  `;
}
