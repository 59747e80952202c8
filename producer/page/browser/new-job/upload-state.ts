/** The files of the new job: how much of them is stored, and which ones. An image that cannot be used is taken out. */
import { countWithNoun, percentText, sizeText } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { announce } from '../parts/announce.ts';
import { useFocusHandedOn } from '../parts/keep-focus.ts';
import { Notice } from '../parts/notice.ts';
import { useAction } from '../parts/use-action.ts';
import { isAboutFiles } from '../server.ts';
import { type DraftUpload, discardDraft, removeFile, uploadFiles } from './draft.ts';

export function UploadState({ upload }: { readonly upload: DraftUpload }): Html {
  const { files, sizeBytes, sentBytes, uploadId, failure } = upload;
  const another = useFocusHandedOn<HTMLButtonElement>();
  return html`
    <section class="upload" aria-label="Files">
      <p>
        <strong>${nameOf(files)}</strong> ${sizeText(sizeBytes)}
        <button type="button" ref=${another} onClick=${discardDraft}>Choose another</button>
      </p>
      ${uploadId !== null && files.length > 1 && h(FileList, { files })}
      ${
        uploadId === null &&
        failure === null &&
        html`
          <label class="sending">
            Uploading, ${percentText(sentBytes, sizeBytes)}
            <progress max=${sizeBytes} value=${sentBytes}></progress>
          </label>
        `
      }
      ${
        failure &&
        h(Notice, {
          trouble: failure,
          retry: isAboutFiles(failure) ? undefined : () => void uploadFiles(files),
        })
      }
    </section>
  `;
}

function nameOf(files: readonly File[]): string {
  if (files.length === 1) return files[0]?.name ?? '';
  const isImages = files.every(({ type }) => type.startsWith('image/'));
  return countWithNoun(files.length, isImages ? 'image' : 'file');
}

function FileList({ files }: Pick<DraftUpload, 'files'>): Html {
  const action = useAction();
  const element = useFocusHandedOn<HTMLDetailsElement>();
  const remove = (index: number, name: string) =>
    action.run(async () => {
      await removeFile(index);
      announce(`${name} is removed.`);
    });
  return html`
    <details class="files" ref=${element}>
      <summary>Remove some of them</summary>
      <ul>
        ${files.map((file, index) => h(FileRow, { file, onRemove: () => remove(index, file.name) }))}
      </ul>
    </details>
    ${action.failure && h(Notice, { trouble: action.failure })}
  `;
}

interface FileRowOptions {
  readonly file: File;
  readonly onRemove: () => void;
}

function FileRow({ file: { name, size }, onRemove }: FileRowOptions): Html {
  const element = useFocusHandedOn<HTMLLIElement>();
  return html`
    <li ref=${element}>
      <span>${name}</span> <span class="hint">${sizeText(size)}</span>
      <button type="button" aria-label=${`Remove ${name}`} onClick=${onRemove}>Remove</button>
    </li>
  `;
}
