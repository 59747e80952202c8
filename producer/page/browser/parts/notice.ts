/** A failure as the API gives it: what happened, why, and what to do. */
import { type Html, html } from '../html.ts';

interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

interface NoticeOptions {
  readonly trouble: Trouble;
  readonly retry?: (() => void) | undefined;
}

export function Notice({ trouble, retry }: NoticeOptions): Html {
  return html`
    <div class="notice" role="alert">
      <p><strong>${withCode(trouble.message)}</strong> ${trouble.hint && withCode(trouble.hint)}</p>
      <p class="code">${trouble.code}</p>
      ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
    </div>
  `;
}

/** Commands and settings stand between backticks. */
function withCode(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
