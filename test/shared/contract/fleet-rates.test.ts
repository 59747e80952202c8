import { expect, test } from 'vitest';

import { type FleetRates, haveRatesChanged, parseFleetRates } from '../../../shared/contract/fleet-rates.ts';

const RATES: FleetRates = {
  version: 1,
  measuredAt: '2026-11-23T06:15:02.000Z',
  models: { painter: 100 },
  split: { cut: 1000, decode: null, images: null },
  join: null,
  bootSeconds: 240,
  idleSeconds: 240,
  enginesPerMachine: 1,
  machinesMax: 10,
  drainTargetSeconds: 300,
  pools: [{ name: 'spot', pricePerHour: 0.06 }],
};

test('rates survive storage; nothing else is taken for rates', () => {
  expect(parseFleetRates(JSON.stringify(RATES))).toEqual(RATES);
  for (const text of ['', 'undefined', '{}', JSON.stringify({ ...RATES, version: 2 })])
    expect(parseFleetRates(text)).toBeUndefined();
});

test.each([
  ['only the time', { measuredAt: '2027-01-01T00:00:00.000Z' }, false],
  ['a rate by less than a twentieth', { models: { painter: 104 } }, false],
  ['a rate by more than a twentieth', { models: { painter: 106 } }, true],
  ['a model that is new', { models: { painter: 100, mosaic: 3 } }, true],
  ['a model that is gone', { models: {} }, true],
  ['what was not measured before', { join: 5 }, true],
  ['a price', { pools: [{ name: 'spot', pricePerHour: 0.09 }] }, true],
  ['another pool', { pools: [] }, true],
])('a change of %s is worth a write: %j %s', (_, change, isWorth) => {
  expect(haveRatesChanged(RATES, { ...RATES, ...change })).toBe(isWorth);
});
