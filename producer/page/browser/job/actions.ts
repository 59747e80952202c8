/** What can be done with a job now. What cannot be undone is asked first. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';

import type { Priority } from '../../../../shared/contract/job.ts';
import type { JobDetail, JobSummary } from '../../contract.ts';
import { type Html, h, html } from '../html.ts';
import { announce } from '../parts/announce.ts';
import { Confirmation } from '../parts/dialog.ts';
import { useFocusHandedOn } from '../parts/keep-focus.ts';
import { Notice } from '../parts/notice.ts';
import { useAction } from '../parts/use-action.ts';
import { send } from '../server.ts';
import { RetryButton } from './retry-button.ts';

type JobAction = JobDetail['actions'][number];
const CLEANED = 'the stored frames are removed';
const PRIORITY_NAMES: readonly Priority[] = ['low', 'normal', 'high'];

interface ActionButtonOptions {
  readonly label: string;
  readonly isBusy: boolean;
  readonly onClick: () => void;
}

/** Not disabled while it is busy: that would take the focus away. */
function ActionButton({ label, isBusy, onClick }: ActionButtonOptions): Html {
  const element = useFocusHandedOn<HTMLButtonElement>();
  return html`<button type="button" ref=${element} aria-disabled=${isBusy} onClick=${onClick}>
    ${label}
  </button>`;
}

export function JobActions({ job }: { readonly job: JobDetail }): Html {
  const { jobId, actions, priority, sourceName } = job;
  const action = useAction();
  const asked = useSignal<'cancel' | 'clean' | null>(null);
  const keepsScored = useSignal(true);
  const may = (name: JobAction) => actions.includes(name);
  const isCleaned = useSignal(false);
  const order = (method: string, name: JobAction, body?: unknown) =>
    action.run(async () => {
      isCleaned.value = false;
      await send<JobSummary>(method, `jobs/${jobId}/${name}`, body === undefined ? {} : { body });
      isCleaned.value = name === 'clean';
      // Of the others, the state of the job tells.
      if (name === 'clean') announce(`${sourceName}: ${CLEANED}`);
    });
  const button = (name: JobAction, label: string, onClick: () => void): VNode | false =>
    may(name) && h(ActionButton, { label, isBusy: action.isRunning, onClick });
  const close = () => {
    asked.value = null;
  };
  const ask = (name: 'cancel' | 'clean') => () => {
    asked.value = name;
  };
  return html`
    <div class="job-actions">
      ${
        may('priority') &&
        html`
          <label class="inline">
            Priority
            <select
              value=${priority}
              disabled=${action.isRunning}
              onChange=${(event: Event) =>
                order('PUT', 'priority', { priority: (event.target as HTMLSelectElement).value })}
            >
              ${PRIORITY_NAMES.map((name) => html`<option value=${name} selected=${name === priority}>${name}</option>`)}
            </select>
          </label>
        `
      }
      ${
        // One button, which keeps the focus when it changes.
        may('resume')
          ? button('resume', 'Resume', () => order('POST', 'resume'))
          : button('pause', 'Pause', () => order('POST', 'pause'))
      }
      ${job.frames.failed === 0 && h(RetryButton, { job })} ${button('cancel', 'Cancel…', ask('cancel'))}
      ${button('clean', 'Clean up…', ask('clean'))}
    </div>
    ${action.failure && h(Notice, { trouble: action.failure })}
    ${isCleaned.value && may('clean') && html`<p class="done">${sourceName}: ${CLEANED}.</p>`}
    ${
      asked.value === 'cancel' &&
      h(
        Confirmation,
        {
          title: `Cancel ${sourceName}?`,
          confirm: 'Cancel the job',
          onConfirm: () => order('POST', 'cancel', { keepScored: keepsScored.value }),
          onClose: close,
        },
        html`<p>Workers stop within ten seconds. There will be no result.</p>
          <label class="inline">
            <input
              type="checkbox"
              checked=${keepsScored.value}
              onChange=${(event: Event) => {
                keepsScored.value = (event.target as HTMLInputElement).checked;
              }}
            />
            Keep what is scored for a week, so that a retry continues from it
          </label>`,
      )
    }
    ${
      asked.value === 'clean' &&
      h(
        Confirmation,
        {
          title: `Remove the stored frames of ${sourceName}?`,
          confirm: 'Remove them',
          onConfirm: () => order('POST', 'clean'),
          onClose: close,
        },
        html`<p>A retry then runs the whole job again.${job.result === null ? '' : ' The result stays.'}</p>`,
      )
    }
  `;
}
