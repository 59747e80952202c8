/** The history of the fleet in four charts, and as a table. */
import { useMemo } from 'preact/hooks';

import type { FleetHistory } from '../../contract.ts';
import { countText, rateText, timeText, moneyText } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { hasPrices } from '../me.ts';
import { type ChartSeries, LineChart } from './line-chart.ts';

const TABLE_ROWS = 24;
/** The top of the axis while there are no costs. */
const MONEY_TOP = 0.01;
/** In this order, and phases that are not here after them: the scaler may have newer ones. */
const PHASE_COLOURS: Readonly<Record<string, string>> = {
  busy: '--phase-working',
  working: '--phase-working',
  running: '--phase-working',
  idle: '--phase-idle',
  creating: '--phase-starting',
  starting: '--phase-starting',
  booting: '--phase-starting',
  draining: '--phase-leaving',
  deleting: '--phase-leaving',
};

export function FleetCharts({ past }: { readonly past: FleetHistory }): Html {
  const series = useMemo(
    () => ({
      rate: single('Frames per second', past.framesPerSecond, '--accent'),
      left: single('Frames left', past.framesLeft, '--sun'),
      money: single('Cost per hour', past.moneyPerHour, '--sea'),
      machines: phasesOf(past),
    }),
    [past],
  );
  const { at } = past;
  if (at.length === 0) return html`<p class="empty">Nothing is recorded yet.</p>`;
  return html`
    <div class="charts">
      ${h(LineChart, { title: 'Frames per second', at, series: series.rate, textOf: (value) => rateText(value) })}
      ${h(LineChart, { title: 'Frames left', at, series: series.left, textOf: countText })}
      ${h(LineChart, { title: 'Machines', at, series: series.machines, textOf: countText, isStacked: true })}
      ${
        hasPrices.value &&
        h(LineChart, {
          title: 'Cost per hour',
          at,
          series: series.money,
          textOf: moneyText,
          topMin: MONEY_TOP,
        })
      }
    </div>
    <details>
      <summary>The same as a table</summary>
      ${h(HistoryTable, { past })}
    </details>
  `;
}

function phasesOf({ machines }: FleetHistory): readonly ChartSeries[] {
  const order = Object.keys(PHASE_COLOURS);
  const place = (phase: string) => (order.includes(phase) ? order.indexOf(phase) : order.length);
  return Object.entries(machines)
    .sort(([one], [other]) => place(one) - place(other))
    .map(([name, values]) => ({ name, values, colour: PHASE_COLOURS[name] ?? '--quiet' }));
}

function HistoryTable({ past }: { readonly past: FleetHistory }): Html {
  const { at, framesPerSecond, framesLeft, moneyPerHour, machines } = past;
  const step = Math.max(1, Math.ceil(at.length / TABLE_ROWS));
  const rows = at.map((_, index) => index).filter((index) => (at.length - 1 - index) % step === 0);
  const total = (index: number) =>
    Object.values(machines).reduce((sum, values) => sum + (values[index] ?? 0), 0);
  return html`
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Frames per second</th>
          <th scope="col">Frames left</th>
          <th scope="col">Machines</th>
          ${hasPrices.value && html`<th scope="col">Cost per hour</th>`}
        </tr>
      </thead>
      <tbody>
        ${rows.toReversed().map(
          (index) => html`
            <tr key=${at[index]}>
              <th scope="row">${timeText(new Date((at[index] ?? 0) * 1000).toISOString(), new Date())}</th>
              <td>${shown(framesPerSecond[index], rateText)}</td>
              <td>${shown(framesLeft[index], countText)}</td>
              <td>${countText(total(index))}</td>
              ${hasPrices.value && html`<td>${shown(moneyPerHour[index], moneyText)}</td>`}
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

function single(name: string, values: ChartSeries['values'], colour: string): readonly ChartSeries[] {
  return [{ name, values, colour }];
}

function shown(value: number | null | undefined, textOf: (value: number) => string): string {
  return value === null || value === undefined ? '–' : textOf(value);
}
