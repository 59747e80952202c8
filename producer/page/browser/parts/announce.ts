/** Says something to screen readers, politely. The text is removed afterwards, so that the same sentence can be said again. */
import { signal } from '@preact/signals';

import { type Html, html } from '../html.ts';

const SHOWN_MS = 5000;
const sentence = signal('');
let clearing: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string): void {
  sentence.value = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => {
    sentence.value = '';
  }, SHOWN_MS);
}

export function Announcer(): Html {
  return html`<p class="unseen" aria-live="polite">${sentence.value}</p>`;
}
