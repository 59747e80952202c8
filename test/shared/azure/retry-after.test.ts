import { expect, test } from 'vitest';

import { retryAfterMs } from '../../../shared/azure/retry-policy.ts';

const NOW_MS = Date.parse('2026-11-23T06:15:02Z');
const parse = (headers: Readonly<Record<string, string>>): number | undefined =>
  retryAfterMs({ get: (name) => headers[name] }, NOW_MS);

test('Retry-After may hold seconds or an HTTP date', () => {
  expect(parse({ 'retry-after': '7' })).toBe(7_000);
  expect(parse({ 'retry-after': 'Mon, 23 Nov 2026 06:15:09 GMT' })).toBe(7_000);
});

test('an instant that has passed requires no wait', () => {
  expect(parse({ 'retry-after': 'Mon, 23 Nov 2026 06:15:00 GMT' })).toBe(0);
  expect(parse({ 'retry-after': '0' })).toBe(0);
});

test('the headers in milliseconds take precedence over Retry-After', () => {
  expect(parse({ 'retry-after-ms': '250', 'retry-after': '1' })).toBe(250);
  expect(parse({ 'x-ms-retry-after-ms': '40', 'retry-after-ms': '250' })).toBe(40);
});

test('a value that cannot be parsed is ignored', () => {
  expect(parse({})).toBeUndefined();
  expect(parse({ 'retry-after': 'soon' })).toBeUndefined();
  expect(parse({ 'retry-after': '' })).toBeUndefined();
  expect(parse({ 'retry-after-ms': '-5', 'retry-after': '2' })).toBe(2_000);
});
