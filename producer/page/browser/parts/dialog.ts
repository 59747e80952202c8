/** A modal dialog that asks before something is done that cannot be undone. The browser holds the focus inside and returns it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

import { type Html, html } from '../html.ts';

interface ConfirmationOptions {
  readonly title: string;
  readonly confirm: string;
  readonly children?: ComponentChildren;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

export function Confirmation({ title, confirm, children, onConfirm, onClose }: ConfirmationOptions): Html {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    onConfirm();
    dialog.current?.close();
  };
  return html`
    <dialog ref=${dialog} aria-labelledby=${id} onClose=${onClose}>
      <form method="dialog" onSubmit=${submit}>
        <h2 id=${id}>${title}</h2>
        ${children}
        <p class="choices">
          <button type="button" autofocus onClick=${() => dialog.current?.close()}>Back</button>
          <button type="submit" class="danger">${confirm}</button>
        </p>
      </form>
    </dialog>
  `;
}
