/** The renderer formats numbers as Grafana does. The expected values are the output of @grafana/data 11.6. */
import { expect, test } from 'vitest';

import { type Unit, formatValue, formatAxisValue } from '../../infra/monitoring/render/units.ts';

const GRAFANA: readonly (readonly [number, Unit, number | undefined, string])[] = [
  [0, 'short', undefined, '0'],
  [0.25, 'short', undefined, '0.250'],
  [7.3, 'short', undefined, '7.30'],
  [123.4, 'short', undefined, '123'],
  [3_599, 'short', undefined, '3.60 K'],
  [1_234_567, 'short', 1, '1.2 Mil'],
  [0.2, 'none', 2, '0.20'],
  [12_345, 'none', undefined, '12345'],
  [0, 's', undefined, '0 s'],
  [0.5, 's', undefined, '500 ms'],
  [60, 's', undefined, '1 min'],
  [61, 's', 0, '1 mins'],
  [5_000, 's', undefined, '1.39 hours'],
  [700_000, 's', undefined, '1.16 weeks'],
  [3_661.9, 'dthms', undefined, '01:01:01'],
  [90_061, 'dthms', undefined, '25:01:01'],
  [0.999, 'percentunit', undefined, '99.9%'],
];

test.each(GRAFANA)(
  'value %d in unit %s with %s decimals is formatted as %s',
  (value, unit, decimals, text) => {
    expect(formatValue(value, unit, decimals)).toBe(text);
  },
);

test('axis labels have no trailing zeros', () => {
  expect([0, 0.25, 1_500, 20_000].map((value) => formatAxisValue(value, 'short'))).toEqual([
    '0',
    '0.25',
    '1.5 K',
    '20 K',
  ]);
  expect(formatAxisValue(90, 's')).toBe('1.5 mins');
});
