/** Files dropped anywhere on the page begin a new job. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { type Html, html } from '../html.ts';
import { navigate } from '../route.ts';
import { uploadFiles } from './draft.ts';

const isOver = signal(false);

export function DropAnywhere(): Html {
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      isOver.value = true;
    };
    const leave = (event: DragEvent) => {
      // Null when the pointer leaves the window, not only an element in it.
      if (event.relatedTarget === null) isOver.value = false;
    };
    const drop = (event: DragEvent) => {
      isOver.value = false;
      if (!hasFiles(event)) return;
      event.preventDefault();
      beginWith([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
  return isOver.value
    ? html`<div class="drop-veil" aria-hidden="true"><p>Drop to make a job</p></div>`
    : null;
}

export function beginWith(files: readonly File[]): void {
  if (files.length === 0) return;
  if (location.pathname !== '/new') navigate('/new');
  void uploadFiles(files);
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes('Files') ?? false;
}
