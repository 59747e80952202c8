/**
 * PURE. The part of Grafana's dashboard format that the renderer supports. The schema is strict: an unsupported panel type, unit or
 * option is an error. It is never ignored.
 */
import { z } from 'zod';

import { COLOUR_NAMES } from './colours.ts';
import { UNITS } from './units.ts';

const colour = z.enum(COLOUR_NAMES);
const unit = z.enum(UNITS);
const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.string() });
const gridPos = z.strictObject({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1),
});

const target = { refId: z.string(), datasource, expr: z.string(), legendFormat: z.string() };
/** For a stat panel. With a range query, Grafana would show the last value in the range even if it is old. */
const instantTarget = z.strictObject({ ...target, instant: z.literal(true), range: z.literal(false) });
const rangeTarget = z.strictObject(target);

const lineColour = z.union([
  z.strictObject({ mode: z.literal('fixed'), fixedColor: colour }),
  z.strictObject({ mode: z.literal('palette-classic') }),
]);
const thresholds = z.strictObject({
  mode: z.literal('absolute'),
  /** The value of the first step is null: its colour applies below the second step. */
  steps: z.array(z.strictObject({ color: colour, value: z.number().nullable() })).min(1),
});
const lineStyle = z.strictObject({ fill: z.literal('dash'), dash: z.array(z.number()) });
const stacking = z.strictObject({ mode: z.enum(['none', 'normal']), group: z.literal('A') });

const property = z.discriminatedUnion('id', [
  z.strictObject({ id: z.literal('color'), value: lineColour }),
  z.strictObject({ id: z.literal('unit'), value: unit }),
  z.strictObject({ id: z.literal('custom.axisPlacement'), value: z.literal('right') }),
  z.strictObject({ id: z.literal('custom.fillOpacity'), value: z.number() }),
  z.strictObject({ id: z.literal('custom.lineWidth'), value: z.number() }),
  z.strictObject({ id: z.literal('custom.lineStyle'), value: lineStyle }),
  z.strictObject({ id: z.literal('custom.stacking'), value: stacking }),
]);
const override = z.strictObject({
  matcher: z.strictObject({ id: z.enum(['byName', 'byRegexp']), options: z.string() }),
  properties: z.array(property).min(1),
});

const panel = {
  id: z.int(),
  title: z.string(),
  description: z.string(),
  datasource,
  gridPos,
};

const stat = z.strictObject({
  ...panel,
  type: z.literal('stat'),
  targets: z.array(instantTarget).min(1),
  fieldConfig: z.strictObject({
    defaults: z.strictObject({
      unit,
      decimals: z.int().optional(),
      noValue: z.string().optional(),
      color: z.strictObject({ mode: z.literal('thresholds') }),
      thresholds,
    }),
    overrides: z.tuple([]),
  }),
  options: z.strictObject({
    reduceOptions: z.strictObject({ calcs: z.tuple([z.literal('lastNotNull')]) }),
    colorMode: z.enum(['value', 'background']),
    graphMode: z.literal('none'),
    textMode: z.enum(['value', 'value_and_name', 'name']),
    justifyMode: z.literal('center'),
    orientation: z.enum(['auto', 'horizontal']),
  }),
});

const timeseries = z.strictObject({
  ...panel,
  type: z.literal('timeseries'),
  targets: z.array(rangeTarget).min(1),
  fieldConfig: z.strictObject({
    defaults: z.strictObject({
      unit,
      decimals: z.int().optional(),
      noValue: z.string().optional(),
      min: z.number().optional(),
      max: z.number().optional(),
      color: lineColour,
      custom: z.strictObject({ lineWidth: z.number(), fillOpacity: z.number(), stacking }),
    }),
    overrides: z.array(override),
  }),
  options: z.strictObject({
    legend: z.strictObject({
      showLegend: z.literal(true),
      displayMode: z.literal('list'),
      placement: z.literal('bottom'),
      calcs: z.tuple([]),
    }),
    tooltip: z.strictObject({ mode: z.literal('multi'), sort: z.literal('none') }),
  }),
});

const row = z.strictObject({
  id: z.int(),
  type: z.literal('row'),
  title: z.string(),
  gridPos,
  collapsed: z.literal(false),
  panels: z.tuple([]),
});

export const dashboard = z.strictObject({
  uid: z.string(),
  title: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  schemaVersion: z.literal(39),
  version: z.int(),
  editable: z.literal(false),
  refresh: z.string(),
  time: z.strictObject({ from: z.string(), to: z.literal('now') }),
  templating: z.strictObject({ list: z.tuple([]) }),
  annotations: z.strictObject({ list: z.tuple([]) }),
  panels: z.array(z.discriminatedUnion('type', [stat, timeseries, row])),
});

export type Dashboard = z.infer<typeof dashboard>;
export type Panel = Dashboard['panels'][number];
export type StatPanel = z.infer<typeof stat>;
export type TimeseriesPanel = z.infer<typeof timeseries>;
export type Target = z.infer<typeof instantTarget> | z.infer<typeof rangeTarget>;
export type Property = z.infer<typeof property>;
