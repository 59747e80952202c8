/**
 * Draws a time series panel: the curves with ECharts, and the legend below them in the order of the targets.
 */
import * as echarts from 'echarts';

import { THEME } from './colours.ts';
import { type PanelData, type Curve, curveOf, dataOf } from './curve.ts';
import type { TimeseriesPanel } from './dashboard-schema.ts';
import { LEGEND_LINE, drawLegend, legendLines } from './legend.ts';
import { type Box, FONT, sizeWithin, text } from './svg.ts';
import { formatAxisValue } from './units.ts';

const NO_DATA_SIZE_MAX = 18;
const AXIS_STEPS = 4;

export function drawTimeseries(panel: TimeseriesPanel, data: PanelData, box: Box): string {
  const curves = data.results.flat().map((series, index) => curveOf(panel, series, index));
  if (curves.length === 0) {
    const { noValue = 'No data' } = panel.fieldConfig.defaults;
    const size = Math.min(NO_DATA_SIZE_MAX, sizeWithin(noValue, { width: box.width - 24, height: 40 }));
    const style = { size, fill: THEME.faint, anchor: 'middle' } as const;
    return text(box.x + box.width / 2, box.y + box.height / 2, noValue, style);
  }
  const lines = legendLines(curves, box.width);
  const height = box.height - lines.length * LEGEND_LINE;
  const chart = chartOf(panel, data, curves, { width: box.width, height });
  return `<svg x="${box.x}" y="${box.y}" width="${box.width}" height="${height}">${chart}</svg>${drawLegend(
    lines,
    { ...box, y: box.y + height },
  )}`;
}

function chartOf(
  panel: TimeseriesPanel,
  data: PanelData,
  curves: readonly Curve[],
  size: { readonly width: number; readonly height: number },
): string {
  const { min, max, decimals } = panel.fieldConfig.defaults;
  const axis = (isRight: boolean) => {
    const own = curves.filter((curve) => curve.isRight === isRight);
    const hasLabels = own.length > 0;
    const unit = own[0]?.unit ?? panel.fieldConfig.defaults.unit;
    return {
      type: 'value' as const,
      show: hasLabels,
      position: isRight ? ('right' as const) : ('left' as const),
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
      splitNumber: AXIS_STEPS,
      ...(min === undefined || max === undefined ? {} : { interval: (max - min) / AXIS_STEPS }),
      ...(decimals === 0 ? { minInterval: 1 } : {}),
      axisLabel: {
        show: hasLabels,
        color: THEME.text,
        fontFamily: FONT,
        fontSize: 13,
        formatter: (value: number) => formatAxisValue(value, unit, decimals),
      },
      splitLine: { show: !isRight, lineStyle: { color: THEME.grid } },
    };
  };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
  chart.setOption({
    animation: false,
    useUTC: true,
    grid: { left: 12, right: 20, top: 14, bottom: 6, containLabel: true },
    xAxis: {
      type: 'time',
      min: data.range.fromSeconds * 1_000,
      max: data.range.toSeconds * 1_000,
      axisLine: { lineStyle: { color: THEME.grid } },
      axisLabel: {
        color: THEME.text,
        fontFamily: FONT,
        fontSize: 13,
        formatter: '{HH}:{mm}',
        hideOverlap: true,
      },
      splitLine: { show: true, lineStyle: { color: THEME.grid } },
    },
    yAxis: [axis(false), axis(true)],
    series: curves.map((curve) => ({
      type: 'line' as const,
      name: curve.name,
      yAxisIndex: curve.isRight ? 1 : 0,
      data: dataOf(curve, curves, data),
      showSymbol: curve.points.length === 1,
      color: curve.colour,
      lineStyle: { width: curve.lineWidth, type: curve.isDashed ? ('dashed' as const) : ('solid' as const) },
      ...(curve.fillOpacity === 0 ? {} : { areaStyle: { opacity: curve.fillOpacity / 100 } }),
      ...(curve.isStacked ? { stack: 'A', stackStrategy: 'all' as const } : {}),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
