/** A new job in four steps: files, style, estimate, go. */
import { useEffect } from 'preact/hooks';

import type { Priority } from '../../../../shared/contract/job.ts';
import type { JobSummary, Model } from '../../contract.ts';
import { type Html, h, html } from '../html.ts';
import { useFocusHandedOn } from '../parts/keep-focus.ts';
import { Notice } from '../parts/notice.ts';
import { Segments } from '../parts/segments.ts';
import { useAction } from '../parts/use-action.ts';
import { useResource } from '../parts/use-resource.ts';
import { useTitle } from '../parts/use-title.ts';
import { navigate } from '../route.ts';
import { asFailure, send } from '../server.ts';
import {
  chooseModel,
  chosenModel,
  chosenPriority,
  draftJob,
  draftUpload,
  forgetDraft,
  refuseFiles,
} from './draft.ts';
import { beginWith } from './drop.ts';
import { EstimateTable } from './estimate-table.ts';
import { StyleChoice } from './style-choice.ts';
import { UploadState } from './upload-state.ts';

const TYPES = 'video/*,image/*,.mkv,.ts,.mxf';
const PRIORITIES_SHOWN = ['low', 'normal', 'high'] as const;

export function NewJobView(): Html {
  useTitle('New job');
  const upload = draftUpload.value;
  return html`
    <header class="view-head"><h1 tabindex="-1">New job</h1></header>
    ${upload === null ? h(FileChoice, {}) : h(UploadState, { upload })}
    ${upload !== null && upload.uploadId !== null && upload.failure === null && h(Settings, { uploadId: upload.uploadId, fileCount: upload.files.length })}
  `;
}

function FileChoice(): Html {
  const element = useFocusHandedOn<HTMLLabelElement>();
  return html`
    <label class="drop-zone" ref=${element}>
      <input type="file" multiple accept=${TYPES} onChange=${chooseFiles} />
      <span class="drop-title">Drop a video or images here</span>
      <span>or choose files</span>
      <span class="hint"
        >One video in MP4, MOV, Matroska, WebM, AVI or MPEG-TS; or JPEG, PNG, WebP, TIFF and AVIF
        images.</span
      >
    </label>
  `;
}

function chooseFiles(event: Event): void {
  beginWith([...((event.target as HTMLInputElement).files ?? [])]);
}

interface SettingsOptions {
  readonly uploadId: string;
  readonly fileCount: number;
}

function Settings({ uploadId, fileCount }: SettingsOptions): Html {
  const { content: models, failure, reload } = useResource<readonly Model[]>('models');
  useEffect(() => {
    if (chosenModel.peek() !== null || models === undefined) return;
    chooseModel(models.find(({ isDefault }) => isDefault) ?? models[0]);
  }, [models, chosenModel.value]);
  const action = useAction();
  const element = useFocusHandedOn<HTMLFormElement>();
  if (failure) return h(Notice, { trouble: failure, retry: reload });
  const model = models?.find(({ name }) => name === chosenModel.value);
  if (models === undefined || model === undefined) return html`<p class="empty">Loading the models…</p>`;
  const start = (event: Event) => {
    event.preventDefault();
    action.run(async () => {
      try {
        const job = await send<JobSummary>('POST', 'jobs', { body: draftJob.peek() });
        forgetDraft();
        navigate(`/jobs/${job.jobId}`);
      } catch (error) {
        if (!refuseFiles(asFailure(error))) throw error;
      }
    });
  };
  return html`
    <form class="new-job" ref=${element} onSubmit=${start}>
      ${models.length > 1 && h(ModelChoice, { models, model })}
      ${model.styles.length > 0 && h(StyleChoice, { uploadId, fileCount, model: model.name })}
      <div class="finish">
        ${h(EstimateTable, {})}
        <div class="go">
          ${h(Segments<Priority>, {
            title: 'Priority',
            isTitled: true,
            name: 'priority',
            choices: PRIORITIES_SHOWN.map((value) => ({ value, label: value })),
            chosen: chosenPriority.value,
            onChoose: (value) => {
              chosenPriority.value = value;
            },
          })}
          <button type="submit" class="primary large" aria-disabled=${action.isRunning}>Start the job</button>
        </div>
      </div>
      ${action.failure && h(Notice, { trouble: action.failure })}
    </form>
  `;
}

interface ModelChoiceOptions {
  readonly models: readonly Model[];
  readonly model: Model;
}

function ModelChoice({ models, model }: ModelChoiceOptions): Html {
  const choose = (event: Event) => {
    const { value } = event.target as HTMLSelectElement;
    chooseModel(models.find(({ name }) => name === value));
  };
  return html`
    <label class="inline">
      Model
      <select value=${model.name} onChange=${choose}>
        ${models.map(
          ({ name, result }) => html`
            <option value=${name} selected=${name === model.name}>
              ${name}${result === 'numbers' ? ' (returns numbers)' : ''}
            </option>
          `,
        )}
      </select>
    </label>
  `;
}
