import { expect, test } from 'vitest';

import { retryAfterMs } from '../../../shared/azure/retry-after.ts';

const NOW_MS = Date.parse('2026-11-23T06:15:02Z');
const asked = (headers: Readonly<Record<string, string>>): number | undefined =>
  retryAfterMs({ get: (name) => headers[name] }, NOW_MS);

test('seconds and an HTTP date mean the same', () => {
  expect(asked({ 'retry-after': '7' })).toBe(7_000);
  expect(asked({ 'retry-after': 'Mon, 23 Nov 2026 06:15:09 GMT' })).toBe(7_000);
});

test('an instant that has passed asks for no wait', () => {
  expect(asked({ 'retry-after': 'Mon, 23 Nov 2026 06:15:00 GMT' })).toBe(0);
  expect(asked({ 'retry-after': '0' })).toBe(0);
});

test('milliseconds count before seconds', () => {
  expect(asked({ 'retry-after-ms': '250', 'retry-after': '1' })).toBe(250);
  expect(asked({ 'x-ms-retry-after-ms': '40', 'retry-after-ms': '250' })).toBe(40);
});

test('what cannot be read asks for nothing', () => {
  expect(asked({})).toBeUndefined();
  expect(asked({ 'retry-after': 'soon' })).toBeUndefined();
  expect(asked({ 'retry-after': '' })).toBeUndefined();
  expect(asked({ 'retry-after-ms': '-5', 'retry-after': '2' })).toBe(2_000);
});
