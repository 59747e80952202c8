/** The fleet now and over the last hours, why it has its size, and the override of it. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { FleetHistory, FleetNow } from '../../contract.ts';
import { fleetNow } from '../fleet-state.ts';
import { countText, rateText, moneyText } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { hasPrices, me } from '../me.ts';
import { Notice } from '../parts/notice.ts';
import { Segments } from '../parts/segments.ts';
import { useResource } from '../parts/use-resource.ts';
import { useTitle } from '../parts/use-title.ts';
import { restoreScroll } from '../route.ts';
import { ExplanationWithWhatIf } from './explanation.ts';
import { FleetCharts } from './fleet-charts.ts';
import { MachineCounts } from './machine-counts.ts';
import { OverridePanel } from './override-panel.ts';

const HOURS = [1, 3, 6, 12] as const;
const HISTORY_MS = 30_000;

export function FleetView(): Html {
  useTitle('Fleet');
  useEffect(restoreScroll, []);
  if (me.value?.hasScaler === false) return h(WithoutScaler, {});
  return html`
    <header class="view-head"><h1 tabindex="-1">Fleet</h1></header>
    ${h(Present, {})} ${h(Past, {})}
  `;
}

function WithoutScaler(): Html {
  return html`
    <header class="view-head"><h1 tabindex="-1">Fleet</h1></header>
    <p class="empty">
      This producer does not know the scaler. Set <code>FRAMEFLEET_SCALER_URL</code> and${' '}
      <code>FRAMEFLEET_SCALER_TOKEN</code> for it, and restart it.
    </p>
  `;
}

function Present(): Html {
  const { content, failure, reload } = useResource<FleetNow>('fleet');
  const fleet = fleetNow.value ?? content;
  if (failure && fleet === undefined) return h(Notice, { trouble: failure, retry: reload });
  if (fleet === undefined) return html`<p class="empty">Loading…</p>`;
  return html`
    <section class="fleet-now" aria-labelledby="now-title">
      <h2 id="now-title">Now</h2>
      <dl class="facts">
        <div>
          <dt>Scored</dt>
          <dd>${fleet.framesPerSecond === null ? '–' : rateText(fleet.framesPerSecond)}</dd>
        </div>
        <div>
          <dt>Frames left</dt>
          <dd>${fleet.framesLeft === null ? '–' : countText(fleet.framesLeft)}</dd>
        </div>
        <div>
          <dt>Machines wanted</dt>
          <dd>
            ${fleet.capacityDesired ?? '–'}${fleet.capacityMax === null ? '' : ` of ${countText(fleet.capacityMax)}`}
          </dd>
        </div>
        ${
          hasPrices.value &&
          html`<div>
            <dt>Cost</dt>
            <dd>${fleet.moneyPerHour === null ? '–' : `${moneyText(fleet.moneyPerHour)} an hour`}</dd>
          </div>`
        }
      </dl>
      ${h(MachineCounts, { machines: fleet.machines })}
      ${fleet.reason !== null && html`<p class="reason">${fleet.reason}</p>`}
    </section>
    <div class="columns">
      ${h(OverridePanel, { override: fleet.override, capacityMax: fleet.capacityMax })}
      ${h(ExplanationWithWhatIf, {})}
    </div>
  `;
}

function Past(): Html {
  const hours = useSignal<number>(HOURS[0]);
  const { content, failure, reload } = useResource<FleetHistory>(`fleet/history?hours=${hours.value}`);
  useEffect(() => {
    const timer = setInterval(reload, HISTORY_MS);
    return () => clearInterval(timer);
  }, []);
  return html`
    <section class="fleet-past" aria-labelledby="past-title">
      <header>
        <h2 id="past-title">The last hours</h2>
        ${h(Segments<number>, {
          title: 'Hours',
          name: 'hours',
          choices: HOURS.map((value) => ({ value, label: `${value} h` })),
          chosen: hours.value,
          onChoose: (value) => {
            hours.value = value;
          },
        })}
      </header>
      ${failure && h(Notice, { trouble: failure, retry: reload })}
      ${content && h(FleetCharts, { past: content })}
    </section>
  `;
}
