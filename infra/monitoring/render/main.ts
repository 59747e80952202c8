/**
 * `npm run draw:dashboard`: draws the dashboard as a PNG from its JSON and the data of a running Prometheus, without Grafana.
 *
 *   npm run draw:dashboard -- --prometheus http://127.0.0.1:9090 [--range 1h] [--at 2026-01-31T12:00:00Z] [--out dashboard.png]
 *
 * The picture is one screen (1920 × 1080), as on a wall display; with `--all` it shows the whole page. Layout, titles, units, thresholds,
 * colours, legends and stacks follow the JSON. A feature that the renderer does not support is an error.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import sharp from 'sharp';

import { dashboard } from './dashboard-schema.ts';
import { drawPage } from './draw-page.ts';

const DASHBOARD = 'infra/monitoring/grafana/dashboards/framefleet.json';
const SCREEN = { width: 1920, height: 1080 };
const SECONDS_IN: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

const { values } = parseArgs({
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    range: { type: 'string', default: '1h' },
    at: { type: 'string' },
    out: { type: 'string', default: 'dashboard.png' },
    all: { type: 'boolean', default: false },
  },
});

const toSeconds = (values.at === undefined ? Date.now() : Date.parse(values.at)) / 1_000;
const svg = await drawPage(dashboard.parse(JSON.parse(await readFile(DASHBOARD, 'utf8'))), {
  prometheusUrl: values.prometheus,
  range: { fromSeconds: toSeconds - secondsOf(values.range), toSeconds },
  ...(values.all ? { width: SCREEN.width } : SCREEN),
});
await sharp(Buffer.from(svg)).png({ palette: true }).toFile(values.out);
process.stdout.write(`${values.out}\n`);

function secondsOf(range: string): number {
  const [, count, unit = ''] = /^(\d+)([smh])$/.exec(range) ?? [];
  if (count === undefined) throw new Error(`Expected a range such as 20m or 1h, received ${range}.`);
  return Number(count) * (SECONDS_IN[unit] ?? 1);
}
