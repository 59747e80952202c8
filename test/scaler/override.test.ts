import { describe, expect, test } from 'vitest';

import {
  type Override,
  decodeOverride,
  describeOverride,
  encodeOverride,
  isExpired,
  overrideEnd,
  overrideFrom,
  overrideJson,
  overrideRequest,
} from '../../scaler/override/document.ts';

const NOW = new Date('2026-11-23T06:15:00.000Z');
const FIXED = {
  mode: 'fixed',
  capacity: 4,
  ttlSeconds: 1800,
  reason: 'demo at ten',
  author: 'ada@desk',
} as const;
const SCHEDULE = {
  mode: 'schedule',
  schedule: '0 8 * * 1-5 for 10h in Europe/Berlin at least 2; 0 9 * * 6 for 90m in UTC at least 1',
  ttlSeconds: 1800,
  reason: 'trade fair',
  author: 'ada@desk',
};
const isValid = (body: unknown): boolean => overrideRequest.safeParse(body).success;

test('an override has a start and an end, and survives encoding and decoding', () => {
  const override = overrideFrom(FIXED, NOW);
  expect(override).toEqual({
    mode: 'fixed',
    capacity: 4,
    schedule: null,
    reason: 'demo at ten',
    author: 'ada@desk',
    setAt: NOW,
    expiresAt: new Date('2026-11-23T06:45:00.000Z'),
  });
  expect(decodeOverride(encodeOverride(override))).toEqual(override);
  const paused = overrideFrom({ ...FIXED, mode: 'pause', capacity: null }, NOW);
  expect(decodeOverride(encodeOverride(paused))).toEqual({ ...override, mode: 'pause', capacity: null });
});

test('a schedule survives as the text that an operator wrote, and as windows', () => {
  const override = overrideFrom(overrideRequest.parse(SCHEDULE), NOW);
  expect(override).toMatchObject({
    mode: 'schedule',
    capacity: null,
    schedule: [{ capacity: 2 }, { capacity: 1 }],
  });
  expect(decodeOverride(encodeOverride(override))).toEqual(override);
  expect(overrideJson(override)).toMatchObject({ schedule: SCHEDULE.schedule });
});

test('the blob of an earlier release has no schedule', () => {
  const { schedule: _, ...earlier } = JSON.parse(encodeOverride(overrideFrom(FIXED, NOW))) as Record<
    string,
    unknown
  >;
  expect(decodeOverride(JSON.stringify(earlier))).toEqual(overrideFrom(FIXED, NOW));
});

test('an override expires at expiresAt, not before', () => {
  const override = overrideFrom(FIXED, NOW);
  expect(isExpired(override, new Date('2026-11-23T06:44:59.999Z'))).toBe(false);
  expect(isExpired(override, new Date('2026-11-23T06:45:00.000Z'))).toBe(true);
});

describe('an override request', () => {
  test.each([
    ['for a fixed number', FIXED],
    ['for zero instances', { ...FIXED, capacity: 0 }],
    ['for a minimum', { ...FIXED, mode: 'min' }],
    ['for a maximum', { ...FIXED, mode: 'max' }],
    ['to pause, without a number', { mode: 'pause', ttlSeconds: 60, reason: 'why', author: 'me' }],
    ['to replace the schedule', SCHEDULE],
    ['for no schedule', { ...SCHEDULE, schedule: 'none' }],
    ['for a minute', { ...FIXED, ttlSeconds: 60 }],
    ['for a week', { ...FIXED, ttlSeconds: 604_800 }],
    ['in non-Latin script', { ...FIXED, reason: 'デモ', author: 'Åsa' }],
  ])('%s is valid', (_, body) => {
    expect(isValid(body)).toBe(true);
  });

  test.each([
    ['nothing', undefined],
    ['a string', 'fixed'],
    ['an unknown mode', { ...FIXED, mode: 'exactly' }],
    ['no mode', { ...FIXED, mode: undefined }],
    ['no number', { ...FIXED, capacity: undefined }],
    ['a negative number', { ...FIXED, capacity: -1 }],
    ['half an instance', { ...FIXED, capacity: 1.5 }],
    ['a number as text', { ...FIXED, capacity: '4' }],
    ['a number above the limit', { ...FIXED, capacity: 1001 }],
    ['a pause with a number', { ...FIXED, mode: 'pause' }],
    ['a schedule and a number', { ...SCHEDULE, capacity: 2 }],
    ['no schedule', { ...SCHEDULE, schedule: undefined }],
    ['a schedule that is not one', { ...SCHEDULE, schedule: 'office hours' }],
    ['no duration', { ...FIXED, ttlSeconds: undefined }],
    ['a negative duration', { ...FIXED, ttlSeconds: -60 }],
    ['less than a minute', { ...FIXED, ttlSeconds: 59 }],
    ['more than a week', { ...FIXED, ttlSeconds: 604_801 }],
    ['no reason', { ...FIXED, reason: '' }],
    ['a blank reason', { ...FIXED, reason: '  ' }],
    ['a reason that is too long', { ...FIXED, reason: 'x'.repeat(201) }],
    ['a reason of two lines', { ...FIXED, reason: 'one\ntwo' }],
    ['no author', { ...FIXED, author: undefined }],
    ['an author that is too long', { ...FIXED, author: 'x'.repeat(101) }],
    ['an unknown field', { ...FIXED, force: true }],
  ])('with %s is refused', (_, body) => {
    expect(isValid(body)).toBe(false);
  });

  test('ending an override requires an author and a reason', () => {
    expect(overrideEnd.safeParse({ author: 'ada', reason: 'over' }).success).toBe(true);
    expect(overrideEnd.safeParse({ author: 'ada' }).success).toBe(false);
    expect(overrideEnd.safeParse({ reason: 'over' }).success).toBe(false);
    expect(overrideEnd.safeParse(undefined).success).toBe(false);
  });
});

test.each([
  ['empty', ''],
  ['truncated JSON', '{"version":1'],
  ['of a newer version', encodeOverride(overrideFrom(FIXED, NOW)).replace('"version":1', '"version":2')],
  ['without an end', encodeOverride(overrideFrom(FIXED, NOW)).replace('expiresAt', 'x')],
  ['a pause with a number', encodeOverride(overrideFrom(FIXED, NOW)).replace('"fixed"', '"pause"')],
  ['a schedule with a number', encodeOverride(overrideFrom(FIXED, NOW)).replace('"fixed"', '"schedule"')],
  [
    'a schedule without windows',
    encodeOverride(overrideFrom({ ...FIXED, mode: 'pause', capacity: null }, NOW)).replace(
      '"pause"',
      '"schedule"',
    ),
  ],
  ['a fixed size without a number', encodeOverride(overrideFrom(FIXED, NOW)).replace('4', 'null')],
])('a blob that is %s is not decoded as an override', (_, text) => {
  expect(decodeOverride(text)).toBeUndefined();
});

test('an override is described in words', () => {
  const inWords = (mode: Override['mode'], capacity: number | null, schedule: Override['schedule'] = null) =>
    describeOverride({ mode, capacity, schedule });
  expect(inWords('fixed', 1)).toBe('exactly 1 instance');
  expect(inWords('min', 2)).toBe('at least 2 instances');
  expect(inWords('max', 0)).toBe('at most 0 instances');
  expect(inWords('pause', null)).toMatch(/no instance starts/);
  expect(inWords('schedule', null, [])).toBe('no window of the schedule opens');
  const { schedule } = overrideFrom(overrideRequest.parse(SCHEDULE), NOW);
  expect(inWords('schedule', null, schedule)).toBe(
    `this schedule in place of the scaler's own: ${SCHEDULE.schedule}`,
  );
});
