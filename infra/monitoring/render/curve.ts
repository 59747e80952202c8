/**
 * PURE. Turns a series into a curve: applies the defaults of the panel and the overrides that match the name of the series. A step
 * without a value is a gap, as in Grafana.
 */
import { classicColour, colourOf } from './colours.ts';
import type { Property, TimeseriesPanel } from './dashboard-schema.ts';
import type { Series, TimeRange } from './query-prometheus.ts';
import type { Unit } from './units.ts';

export interface Curve {
  readonly name: string;
  readonly points: Series['points'];
  readonly colour: string;
  readonly unit: Unit;
  readonly isRight: boolean;
  readonly isDashed: boolean;
  readonly isStacked: boolean;
  readonly lineWidth: number;
  readonly fillOpacity: number;
  /** Its index in the panel. */
  readonly index: number;
}

export interface PanelData {
  /** The results of each target of the panel. */
  readonly results: readonly (readonly Series[])[];
  readonly range: TimeRange;
  /** In seconds. */
  readonly step: number;
}

export function curveOf(panel: TimeseriesPanel, { name, points }: Series, index: number): Curve {
  const { defaults, overrides } = panel.fieldConfig;
  const properties = overrides
    .filter(({ matcher }) =>
      matcher.id === 'byName'
        ? matcher.options === name
        : new RegExp(matcher.options.replace(/^\/(.*)\/$/, '$1')).test(name),
    )
    .flatMap((one) => one.properties);
  const { color, unit, custom } = defaults;
  return properties.reduce<Curve>(applyOverride, {
    name,
    points,
    colour: colourIn(color, index),
    unit,
    isRight: false,
    isDashed: false,
    isStacked: custom.stacking.mode === 'normal',
    lineWidth: custom.lineWidth,
    fillOpacity: custom.fillOpacity,
    index,
  });
}

function applyOverride(curve: Curve, { id, value }: Property): Curve {
  switch (id) {
    case 'color':
      return { ...curve, colour: colourIn(value, curve.index) };
    case 'unit':
      return { ...curve, unit: value };
    case 'custom.axisPlacement':
      return { ...curve, isRight: value === 'right' };
    case 'custom.fillOpacity':
      return { ...curve, fillOpacity: value };
    case 'custom.lineWidth':
      return { ...curve, lineWidth: value };
    case 'custom.lineStyle':
      return { ...curve, isDashed: value.fill === 'dash' };
    case 'custom.stacking':
      return { ...curve, isStacked: value.mode === 'normal' };
  }
}

function colourIn(colour: TimeseriesPanel['fieldConfig']['defaults']['color'], index: number): string {
  return colour.mode === 'fixed' ? colourOf(colour.fixedColor) : classicColour(index);
}

/** One point per step; null if there is no value. In a stack, a missing value counts as 0 if another series has one, as in Grafana. */
export function dataOf(
  curve: Curve,
  curves: readonly Curve[],
  { range, step }: PanelData,
): [number, number | null][] {
  const finite = ({ points }: Curve) => new Map(points.filter(([, value]) => Number.isFinite(value)));
  const values = finite(curve);
  const others = curve.isStacked ? curves.filter((one) => one.isStacked).map(finite) : [];
  const first = Math.floor(range.fromSeconds / step) * step;
  const count = Math.floor((range.toSeconds - first) / step) + 1;
  return Array.from({ length: count }, (_, index) => {
    const at = first + index * step;
    const missing = others.some((one) => one.has(at)) ? 0 : null;
    return [at * 1_000, values.get(at) ?? missing];
  });
}
