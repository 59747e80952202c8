/** Runs again what failed or is missing. */
import type { JobDetail, JobSummary } from '../../contract.ts';
import { countWithNoun, unitOf } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { announce } from '../parts/announce.ts';
import { useFocusHandedOn } from '../parts/keep-focus.ts';
import { Notice } from '../parts/notice.ts';
import { useAction } from '../parts/use-action.ts';
import { send } from '../server.ts';

export function RetryButton({ job }: { readonly job: JobDetail }): Html {
  return job.actions.includes('retry') ? h(Retry, { job }) : null;
}

function Retry({ job }: { readonly job: JobDetail }): Html {
  const { jobId, frames, sourceName } = job;
  const action = useAction();
  const element = useFocusHandedOn<HTMLButtonElement>();
  const retry = () =>
    action.run(async () => {
      await send<JobSummary>('POST', `jobs/${jobId}/retry`);
      announce(`${sourceName}: retry requested`);
    });
  return html`
    <div>
      <button type="button" ref=${element} aria-disabled=${action.isRunning} onClick=${retry}>
        ${frames.failed > 0 ? `Retry ${countWithNoun(frames.failed, `failed ${unitOf(job)}`)}` : 'Retry'}
      </button>
      ${action.failure && h(Notice, { trouble: action.failure })}
    </div>
  `;
}
