/** Draws a whole dashboard as one SVG. Panels are placed in Grafana's grid of 24 columns. */
import { THEME } from './colours.ts';
import type { Dashboard, Panel } from './dashboard-schema.ts';
import { drawStat } from './draw-stat.ts';
import { drawTimeseries } from './draw-timeseries.ts';
import { type TimeRange, queryPrometheus, stepSeconds } from './query-prometheus.ts';
import { type Box, rectangle, sizeWithin, text } from './svg.ts';

/** Grafana's layout: a grid row is 30 pixels high, and the gap between panels is 8 pixels. */
const ROW_HEIGHT = 30;
const GAP = 8;
const COLUMNS = 24;
const TITLE_HEIGHT = 34;
const TITLE_SIZE = 15;

export interface View {
  readonly prometheusUrl: string;
  readonly range: TimeRange;
  readonly width: number;
  /** Default: the height of the whole page. */
  readonly height?: number;
}

export async function drawPage({ panels }: Dashboard, view: View): Promise<string> {
  const bottoms = panels.map((panel) => boxOf(panel, view.width)).map(({ y, height }) => y + height);
  const { width, height = Math.max(...bottoms) + GAP } = view;
  const drawn = await Promise.all(panels.map((panel) => drawPanel(panel, view, boxOf(panel, width))));
  const page = rectangle({ x: 0, y: 0, width, height }, THEME.page);
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}">${page}${drawn.join('\n')}</svg>`;
}

function boxOf({ gridPos: { x, y, w, h } }: Panel, width: number): Box {
  const column = (width - GAP * (COLUMNS + 1)) / COLUMNS;
  return {
    x: GAP + x * (column + GAP),
    y: GAP + y * (ROW_HEIGHT + GAP),
    width: w * (column + GAP) - GAP,
    height: h * (ROW_HEIGHT + GAP) - GAP,
  };
}

async function drawPanel(panel: Panel, view: View, box: Box): Promise<string> {
  if (panel.type === 'row')
    return text(box.x + 6, box.y + 21, `▾ ${panel.title}`, { size: 17, fill: THEME.text, weight: 500 });

  const step = stepSeconds(view.range, box.width);
  const results = await Promise.all(
    panel.targets.map((target) => queryPrometheus(view.prometheusUrl, target, view.range, step)),
  );
  const inner = { ...box, y: box.y + TITLE_HEIGHT, height: box.height - TITLE_HEIGHT - 4 };
  const size = Math.min(TITLE_SIZE, sizeWithin(panel.title, { width: box.width - 20, height: 40 }));
  const frame =
    rectangle(box, THEME.panel, THEME.border) +
    text(box.x + 10, box.y + 22, panel.title, { size, fill: THEME.text, weight: 500 });
  switch (panel.type) {
    case 'stat':
      return frame + drawStat(panel, results, inner);
    case 'timeseries':
      return frame + drawTimeseries(panel, { results, range: view.range, step }, inner);
  }
}
