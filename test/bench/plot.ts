/**
 * Draws a result of the benchmark as SVG: a bar for each figure with a target, as a multiple of the target, on a logarithmic axis. Up to
 * the line at 1, the target is met.
 */
import * as echarts from 'echarts';

import { type BenchResult, type MeasuredFigure, median } from './result.ts';

const WIDTH = 1_100;
const LINE_HEIGHT = 34;
const COLOURS = { before: '#b0b7c3', now: '#2f6fde', target: '#c2362b' };

export function drawResults(result: BenchResult, before: BenchResult | undefined): string {
  const figures = result.figures.filter(({ target }) => target !== undefined).toReversed();
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: 110 + figures.length * LINE_HEIGHT,
  });
  const earlier = (figure: MeasuredFigure) => before?.figures.find(({ name }) => name === figure.name);
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: 'Cost as a multiple of the target (1 or less: target met)',
      left: 12,
      top: 8,
      textStyle: { fontSize: 15 },
    },
    legend: { top: 36, left: 12, itemGap: 40 },
    grid: { left: 430, right: 60, top: 66, bottom: 34 },
    xAxis: { type: 'log', min: 0.01 },
    yAxis: {
      type: 'category',
      data: figures.map(({ title }) => title),
      axisLabel: { width: 410, overflow: 'truncate' },
    },
    series: [
      ...(before === undefined
        ? []
        : [
            {
              name: `before (${before.commit})`,
              type: 'bar',
              itemStyle: { color: COLOURS.before },
              data: figures.map((figure) => {
                const found = earlier(figure);
                return found === undefined ? '-' : multiple(figure, median(found.values));
              }),
            },
          ]),
      {
        name: `now (${result.commit})`,
        type: 'bar',
        itemStyle: { color: COLOURS.now },
        data: figures.map((figure) => multiple(figure, median(figure.values))),
        markLine: {
          symbol: 'none',
          silent: true,
          label: { show: false },
          lineStyle: { color: COLOURS.target, type: 'solid' },
          data: [{ xAxis: 1 }],
        },
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

/** How many times worse than its target a figure is. */
function multiple({ target }: MeasuredFigure, value: number): number {
  if (target === undefined) return Number.NaN;
  const times = 'max' in target ? value / target.max : target.min / value;
  return Math.max(0.01, Number(times.toPrecision(3)));
}
