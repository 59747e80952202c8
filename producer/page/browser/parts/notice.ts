/** A failure as the API gives it: what happened, why, and what to do. */
import { type Html, html } from '../html.ts';

interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

interface NoticeOptions {
  readonly trouble: Trouble;
  readonly retry?: () => void;
}

export function Notice({ trouble, retry }: NoticeOptions): Html {
  return html`
    <div class="notice" role="alert">
      <p><strong>${trouble.message}</strong> ${trouble.hint}</p>
      <p class="code">${trouble.code}</p>
      ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
    </div>
  `;
}
