/** A chart over time by uPlot, in the colours of the page, with its current figures as text. The only file that imports uPlot. */
import { useSignal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import uPlot from 'uplot';

import { type Html, html } from '../html.ts';

const HEIGHT = 168;
const AXIS_WIDTH = 64;
const TIME_AXIS_HEIGHT = 30;
/** Between two values on the time axis, in pixels. */
const TIME_SPACE = 72;
/** Between two values on the time axis, in seconds: minutes, hours, days. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * 60);
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: '2-digit' });
const DAY_SECONDS = 24 * 3600;

export interface ChartSeries {
  readonly name: string;
  /** Null where nothing is known. */
  readonly values: readonly (number | null)[];
  /** A custom property of the style sheet, such as `--accent`. */
  readonly colour: string;
}

interface LineChartOptions {
  readonly title: string;
  /** Unix seconds. */
  readonly at: readonly number[];
  readonly series: readonly ChartSeries[];
  /** Of a value, such as `12/s`. */
  readonly textOf: (value: number) => string;
  /** Put the series on top of each other. */
  readonly isStacked?: boolean;
  /** The lowest top of the axis; 1 if it is left out. */
  readonly topMin?: number;
}

export function LineChart(options: LineChartOptions): Html {
  const { title, at, series, textOf, isStacked = false } = options;
  const place = useRef<HTMLDivElement>(null);
  const under = useSignal<number | null>(null);
  const id = useId();
  const dark = useDarkScheme();
  useEffect(() => {
    const element = place.current;
    if (element === null || at.length === 0) return undefined;
    const chart = new uPlot(
      plotOptions(element, options, (index) => (under.value = index)),
      plotData(at, series, isStacked),
      element,
    );
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
    };
  }, [at, series, dark]);
  const index = under.value ?? at.length - 1;
  const figures = series.map(({ name, values, colour }) => {
    const value = values[index] ?? null;
    return { name, colour, text: value === null ? '–' : textOf(value) };
  });
  const time = under.value === null ? 'now' : CLOCK.format((at[index] ?? 0) * 1000);
  return html`
    <figure class="chart">
      <figcaption id=${id}>
        <strong>${title}</strong>
        ${figures.map(
          ({ name, colour, text }) => html`
            <span class="figure" key=${name}>
              ${series.length > 1 && html`<i style=${{ background: `var(${colour})` }}></i> ${name}${' '}`}
              <b>${text}</b>
            </span>
          `,
        )}
        <span class="when">${time}</span>
      </figcaption>
      <div ref=${place} role="img" aria-label=${summaryOf(options)}></div>
    </figure>
  `;
}

/** For those who do not see the chart. */
function summaryOf({ title, series, textOf }: LineChartOptions): string {
  const parts = series.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    const last = known.at(-1);
    const subject = series.length > 1 ? `${name}: ` : '';
    if (last === undefined) return `${subject}nothing known`;
    const [low, high] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
    return `${subject}${textOf(low)} to ${textOf(high)}, last ${textOf(last)}`;
  });
  return `${title}. ${parts.length === 0 ? 'none' : parts.join('. ')}`;
}

function plotData(
  at: readonly number[],
  series: readonly ChartSeries[],
  isStacked: boolean,
): uPlot.AlignedData {
  const sums = at.map(() => 0);
  const lines = series.map(({ values }) =>
    values.map((value, index) => {
      if (!isStacked) return value;
      sums[index] = (sums[index] ?? 0) + (value ?? 0);
      return sums[index] ?? 0;
    }),
  );
  // The highest sum is drawn first, and the lower ones over it.
  return [[...at], ...(isStacked ? lines.toReversed() : lines)];
}

function plotOptions(
  element: HTMLElement,
  { at, series, textOf, isStacked = false, topMin = 1 }: LineChartOptions,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const { fontFamily } = getComputedStyle(element);
  const colour = (name: string) => resolvedColour(element, name);
  const [first = 0, last = 0] = [at[0], at.at(-1)];
  const clock = last - first > DAY_SECONDS ? DAY : CLOCK;
  const axis = { stroke: colour('--quiet'), font: `12px ${fontFamily}`, ticks: { show: false } };
  const lines = series.map((one): uPlot.Series => {
    const stroke = colour(one.colour);
    const fill = isStacked ? stroke : `color-mix(in srgb, ${stroke} 14%, transparent)`;
    return { stroke, fill, width: isStacked ? 0 : 1.75, points: { show: false } };
  });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: !isStacked, size: 6 } },
    scales: { y: { range: (_, __, high) => [0, Math.max(high, topMin) * 1.1] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: TIME_AXIS_HEIGHT,
        space: TIME_SPACE,
        incrs: TIME_STEPS,
        values: (_, splits) => splits.map((seconds) => clock.format(seconds * 1000)),
      },
      {
        ...axis,
        size: AXIS_WIDTH,
        grid: { stroke: colour('--line'), width: 1 },
        values: (_, splits) => splits.map((value) => textOf(value)),
      },
    ],
    series: [{}, ...(isStacked ? lines.toReversed() : lines)],
    hooks: { setCursor: [({ cursor }) => onCursor(cursor.idx ?? null)] },
  };
}

/** A canvas does not know custom properties. */
function resolvedColour(element: HTMLElement, name: string): string {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = before;
  return color;
}

function useDarkScheme(): boolean {
  const query = matchMedia('(prefers-color-scheme: dark)');
  const isDark = useSignal(query.matches);
  useEffect(() => {
    const update = () => {
      isDark.value = query.matches;
    };
    query.addEventListener('change', update);
    return () => query.removeEventListener('change', update);
  }, []);
  return isDark.value;
}
