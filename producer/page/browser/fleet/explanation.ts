/** Why the fleet has its size, in the scaler's words, now or in a supposed situation. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { Explanation } from '../../contract.ts';
import { decisionTold } from '../fleet-state.ts';
import { withLocalTimes } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { textsIn } from '../parts/form-text.ts';
import { Notice } from '../parts/notice.ts';
import { useResource } from '../parts/use-resource.ts';

/** The what-if of the scaler's API. */
const FIELDS = [
  { name: 'backlog', label: 'Frames left', max: 100_000_000 },
  { name: 'megapixelsPerFrame', label: 'Megapixels a frame', max: 1000, min: 0.001, step: 'any' },
  { name: 'capacityMax', label: 'Machines at most', max: 1000 },
  { name: 'drainTargetSeconds', label: 'Done in, seconds', max: 86_400, min: 1 },
] as const;

export function ExplanationWithWhatIf(): Html {
  const query = useSignal('');
  const { content, isCurrent, failure, reload } = useResource<Explanation>(`explain${query.value}`);
  const known = useRef(decisionTold.peek());
  useEffect(() => {
    if (known.current !== decisionTold.value) reload();
    known.current = decisionTold.value;
  }, [decisionTold.value]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new URLSearchParams([...textsIn(event)]);
    query.value = fields.size === 0 ? '' : `?${fields}`;
  };
  const reset = () => {
    query.value = '';
  };
  return html`
    <section class="panel" aria-labelledby="explain-title">
      <h2 id="explain-title">${query.value === '' ? 'Why this many' : 'What if'}</h2>
      ${failure && h(Notice, { trouble: failure, retry: reload })}
      ${
        // The present changes by itself, too often to be read out. An answer that is refused has no words.
        content &&
        (isCurrent || failure === undefined) &&
        h(Words, { words: content.words, isAnswer: query.value !== '' })
      }
      <details>
        <summary>What if…</summary>
        <form class="what-if" onSubmit=${submit} onReset=${reset}>
          ${FIELDS.map(
            (field) => html`
              <label>
                ${field.label}
                <input
                  type="number"
                  name=${field.name}
                  min=${'min' in field ? field.min : 0}
                  max=${field.max}
                  step=${'step' in field ? field.step : 1}
                />
              </label>
            `,
          )}
          <p class="choices">
            <button type="submit" class="primary">Explain</button>
            <button type="reset">Back to now</button>
          </p>
        </form>
      </details>
    </section>
  `;
}

interface WordsOptions {
  readonly words: readonly string[];
  /** To a question of the visitor. */
  readonly isAnswer: boolean;
}

/** Lines that are indented belong to the line above that ends with a colon. */
function Words({ words, isAnswer }: WordsOptions): Html {
  const now = new Date();
  return html`<div class="words" aria-live=${isAnswer ? 'polite' : 'off'}>
    ${words.map((sentence) => {
      const line = withLocalTimes(sentence, now);
      if (line.startsWith('  ')) return html`<p class="step">${line.trim()}</p>`;
      if (line.endsWith(':')) return html`<h3>${line.slice(0, -1)}</h3>`;
      return html`<p>${line}</p>`;
    })}
  </div>`;
}
