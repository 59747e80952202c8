/**
 * PURE. A series as a panel shows it: the panel's defaults, and what its overrides change of them for this name. A step at which
 * Prometheus had nothing is a gap, as in Grafana.
 */
import type { Series, Span } from './answers.ts';
import { classicColour, colourOf } from './colours.ts';
import type { Property, TimeseriesPanel } from './dashboard.ts';
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
  /** Its place in the panel. */
  readonly index: number;
}

export interface Asked {
  readonly answers: readonly (readonly Series[])[];
  readonly span: Span;
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
  return properties.reduce<Curve>(changed, {
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

function changed(curve: Curve, { id, value }: Property): Curve {
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

/** One point a step, and null where there is none. In a stack that is nothing added, as in Grafana. */
export function dataOf(
  curve: Curve,
  curves: readonly Curve[],
  { span, step }: Asked,
): [number, number | null][] {
  const finite = ({ points }: Curve) => new Map(points.filter(([, value]) => Number.isFinite(value)));
  const values = finite(curve);
  const others = curve.isStacked ? curves.filter((one) => one.isStacked).map(finite) : [];
  const first = Math.floor(span.fromSeconds / step) * step;
  const count = Math.floor((span.toSeconds - first) / step) + 1;
  return Array.from({ length: count }, (_, index) => {
    const at = first + index * step;
    const nothing = others.some((one) => one.has(at)) ? 0 : null;
    return [at * 1_000, values.get(at) ?? nothing];
  });
}
