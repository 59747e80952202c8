/** How long the job will take and what it will cost, by the number of machines. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { Estimate } from '../../contract.ts';
import { countWithNoun, countText, durationText, moneyText, unitOf, withLocalTimes } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { resync } from '../live.ts';
import { hasPrices } from '../me.ts';
import { Notice } from '../parts/notice.ts';
import { type ApiFailure, asFailure, send } from '../server.ts';
import { draftJob, refuseFiles } from './draft.ts';

/** Between the last step of a slider and the question. */
const REST_MS = 300;

export function EstimateTable(): Html {
  const estimate = useSignal<Estimate | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const job = draftJob.value;
  const isKnown = useSignal(false);
  useEffect(() => {
    const abort = new AbortController();
    isKnown.value = false;
    const load = async () => {
      try {
        estimate.value = await send<Estimate>('POST', 'estimates', { body: job, signal: abort.signal });
        failure.value = undefined;
        isKnown.value = true;
      } catch (error) {
        if (abort.signal.aborted) return;
        const found = asFailure(error);
        if (!refuseFiles(found)) failure.value = found;
      }
    };
    const timer = setTimeout(() => job !== null && void load(), estimate.peek() === undefined ? 0 : REST_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [job, resync.value]);
  if (failure.value !== undefined) return h(Notice, { trouble: failure.value });
  if (estimate.value === undefined) return html`<p class="empty">Estimating…</p>`;
  const { frames, wallSeconds, basis } = estimate.value;
  return html`
    <table class="estimate" aria-busy=${!isKnown.value}>
      <caption>
        Estimate for ${countWithNoun(frames, unitOf(estimate.value))}
      </caption>
      <thead>
        <tr>
          <th scope="col">Machines</th>
          <th scope="col">Time</th>
          ${hasPrices.value && html`<th scope="col">Cost</th>`}
        </tr>
      </thead>
      <tbody>
        ${wallSeconds.map(
          ({ machines, seconds, money }) => html`
            <tr key=${machines}>
              <th scope="row">${countText(machines)}</th>
              <td>${durationText(seconds)}</td>
              ${hasPrices.value && html`<td>${money === null ? '–' : moneyText(money)}</td>`}
            </tr>
          `,
        )}
      </tbody>
      <tfoot>
        <tr>
          <td colspan="3">${withLocalTimes(basis, new Date())}</td>
        </tr>
      </tfoot>
    </table>
  `;
}
