import { expect, test } from 'vitest';

import { HalfRecord } from '../../worker/engine/half-record.ts';
import { precisionOn, wantsHalf } from '../../worker/engine/precision.ts';

const ONE = [{ model: 'one' }];

test('a model may use float16 until it is refused', () => {
  const record = new HalfRecord();
  expect(record.mayUse('one')).toBe(true);
  record.refuse('one');
  expect(record.mayUse('one')).toBe(false);
  expect(record.mayUse('other')).toBe(true);
});

test('a crash before the first frame of a model is blamed on float16', () => {
  const record = new HalfRecord();
  record.ended(ONE, { isCrash: true });
  expect(record.mayUse('one')).toBe(false);
});

test('a crash after a frame of the model, a kill and a stop are not blamed on float16', () => {
  const record = new HalfRecord();
  record.computed('one');
  record.ended(ONE, { isCrash: true });
  record.ended(ONE, { isCrash: false });
  expect(record.mayUse('one')).toBe(true);
});

test('frames of an earlier engine do not count for the next one', () => {
  const record = new HalfRecord();
  record.computed('one');
  record.ended(ONE, { isCrash: false });
  record.ended(ONE, { isCrash: true });
  expect(record.mayUse('one')).toBe(false);
});

test('of very many models, the oldest is tried again', () => {
  const record = new HalfRecord();
  for (let index = 0; index <= 100; index += 1) record.refuse(`model ${index}`);
  expect(record.mayUse('model 0')).toBe(true);
  expect(record.mayUse('model 1')).toBe(false);
});

test.each([
  ['tensorrt', 'auto', 'float16'],
  ['cuda', 'auto', 'float16'],
  ['webgpu', 'auto', 'float32'],
  ['cpu', 'auto', 'float32'],
  ['cpu', 'float16', 'float16'],
  ['cuda', 'float32', 'float32'],
] as const)('on %s with the setting %s, a model runs in %s', (provider, setting, precision) => {
  expect(precisionOn(provider, setting)).toBe(precision);
});

test('the file of float16 is fetched if a listed provider may run it', () => {
  expect(wantsHalf('auto', ['cuda', 'cpu'])).toBe(true);
  expect(wantsHalf('auto', ['cpu'])).toBe(false);
  expect(wantsHalf('float32', ['cuda', 'cpu'])).toBe(false);
});
