/** The schedule: its text, and what it asks for at an instant, in several time zones and across changes of their clocks. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { localTimeText, scheduleSetting, scheduleText, scheduledAt } from '../../scaler/schedule.ts';

const MINUTE_MS = 60_000;
const OFFICE = '0 8 * * 1-5 for 10h in Europe/Berlin at least 2';
const SHARP = { bootMs: 0, soonMs: 0 };

const at = (text: string, instant: string | number, times = SHARP) =>
  scheduledAt(scheduleSetting.parse(text), new Date(instant), times);

describe('the text of a schedule', () => {
  test.each([
    ['one window', OFFICE, [{ start: '0 8 * * 1-5', durationMs: 600 * MINUTE_MS, capacity: 2 }]],
    [
      'two windows',
      `${OFFICE}; 0 9 * * 6 for 90m in UTC at least 1`,
      [{ timeZone: 'Europe/Berlin' }, { timeZone: 'UTC' }],
    ],
    ['more space than needed', `  ${OFFICE.replaceAll(' ', '  ')} `, [{ start: '0 8 * * 1-5' }]],
    ['names of days and months', '0 8 * JAN,Feb mon-fri for 7d in UTC at least 1000', [{ capacity: 1000 }]],
    ['steps and lists', '*/15 8-18/2 1,15 * * for 60s in UTC at least 1', [{ durationMs: MINUTE_MS }]],
    ['no window', 'none', []],
  ])('with %s is read', (_, text, windows) => {
    expect(scheduleSetting.parse(text)).toMatchObject(windows);
  });

  test.each([
    ['nothing', '', /expected a window such as/],
    ['four fields', '0 8 * * for 10h in UTC at least 2', /five cron fields/],
    ['six fields', '0 0 8 * * 1 for 10h in UTC at least 2', /five cron fields/],
    ['a nickname', '@daily for 10h in UTC at least 2', /five cron fields/],
    [
      'an hour that does not exist',
      '0 24 * * * for 10h in UTC at least 2',
      /“0 24 \* \* \*” is not a cron expression/,
    ],
    ['a date that never comes', '0 8 30 2 * for 10h in UTC at least 2', /ever matches/],
    ['no duration', '0 8 * * * in UTC at least 2', /expected a window such as/],
    [
      'a duration without a unit',
      '0 8 * * * for 10 in UTC at least 2',
      /expected a duration .* in place of “10”/,
    ],
    ['a duration that is too short', '0 8 * * * for 59s in UTC at least 2', /from 1 minute to 7 days/],
    ['a duration that is too long', '0 8 * * * for 8d in UTC at least 2', /from 1 minute to 7 days/],
    ['no time zone', '0 8 * * * for 10h at least 2', /expected a window such as/],
    [
      'a time zone that does not exist',
      '0 8 * * * for 10h in Europe/Berln at least 2',
      /in place of “Europe\/Berln”/,
    ],
    ['an offset', '0 8 * * * for 10h in +01:00 at least 2', /the name of a time zone/],
    ['no instances', '0 8 * * * for 10h in UTC at least 0', /expected at least 1 to 1000/],
    ['too many instances', '0 8 * * * for 10h in UTC at least 1001', /expected at least 1 to 1000/],
    ['half an instance', '0 8 * * * for 10h in UTC at least 1.5', /expected a window such as/],
    ['an empty second window', `${OFFICE};`, /expected a window such as/],
    ['too many windows', Array.from({ length: 51 }, () => OFFICE).join(';'), /at most 50 windows/],
  ])('with %s is refused, with the reason', (_, text, sentence) => {
    expect(() => scheduleSetting.parse(text)).toThrow(sentence);
  });

  test('names every fault', () => {
    const faulty = '0 8 * * * for 10 in UTC at least 2; 0 8 * * * for 10h in Nowhere at least 2';
    expect(scheduleSetting.safeParse(faulty).error?.issues).toHaveLength(2);
  });

  test.each([
    OFFICE,
    'none',
    '0 9 * * 6 for 90m in UTC at least 1; 5 0 1 * * for 90s in Asia/Tokyo at least 3',
  ])('is printed as it was read: %s', (text) => {
    expect(scheduleText(scheduleSetting.parse(text))).toBe(text);
  });
});

describe('a window', () => {
  const BERLIN = '0 8 * * * for 10h in Europe/Berlin at least 2';
  const NEW_YORK = '0 8 * * * for 10h in America/New_York at least 2';
  const NIGHT = '0 22 * * * for 10h in Europe/Berlin at least 2';

  test.each([
    ['a day in winter', BERLIN, '2026-03-28T07:00Z', '2026-03-28T17:00Z'],
    ['the day when clocks go forward in Berlin', BERLIN, '2026-03-29T06:00Z', '2026-03-29T16:00Z'],
    ['the day before clocks go back in Berlin', BERLIN, '2026-10-24T06:00Z', '2026-10-24T16:00Z'],
    ['the day when clocks go back in Berlin', BERLIN, '2026-10-25T07:00Z', '2026-10-25T17:00Z'],
    ['the day before clocks go forward in New York', NEW_YORK, '2026-03-07T13:00Z', '2026-03-07T23:00Z'],
    ['the day when clocks go forward in New York', NEW_YORK, '2026-03-08T12:00Z', '2026-03-08T22:00Z'],
    ['the day before clocks go back in New York', NEW_YORK, '2026-10-31T12:00Z', '2026-10-31T22:00Z'],
    ['the day when clocks go back in New York', NEW_YORK, '2026-11-01T13:00Z', '2026-11-01T23:00Z'],
    ['midnight', NIGHT, '2026-11-23T21:00Z', '2026-11-24T07:00Z'],
    ['the night when clocks go forward: ten hours', NIGHT, '2026-03-28T21:00Z', '2026-03-29T07:00Z'],
    ['the night when clocks go back: ten hours', NIGHT, '2026-10-24T20:00Z', '2026-10-25T06:00Z'],
    [
      'a start that is skipped in Berlin',
      '30 2 * * * for 1h in Europe/Berlin at least 2',
      '2026-03-29T01:00Z',
      '2026-03-29T02:00Z',
    ],
    [
      'a start that is skipped in New York',
      '30 2 * * * for 1h in America/New_York at least 2',
      '2026-03-08T07:00Z',
      '2026-03-08T08:00Z',
    ],
    [
      'a start that comes twice in Berlin',
      '30 2 * * * for 1h in Europe/Berlin at least 2',
      '2026-10-25T00:30Z',
      '2026-10-25T01:30Z',
    ],
    [
      'a start that comes twice in New York',
      '30 1 * * * for 1h in America/New_York at least 2',
      '2026-11-01T05:30Z',
      '2026-11-01T06:30Z',
    ],
    ['a weekend', '0 0 * * 6 for 48h in UTC at least 2', '2026-11-28T00:00Z', '2026-11-30T00:00Z'],
  ])('over %s opens and closes on time', (_, text, from, until) => {
    const capacityAt = (instant: string, byMs: number) =>
      at(text, new Date(instant).getTime() + byMs).capacity;
    expect([capacityAt(from, -1), capacityAt(from, 0), capacityAt(until, -1), capacityAt(until, 0)]).toEqual([
      0, 2, 2, 0,
    ]);
    // The time that comes twice does not open it again.
    expect(capacityAt(until, 30 * MINUTE_MS)).toBe(0);
  });

  test('counts from a boot time before its start', () => {
    const times = { bootMs: 4 * MINUTE_MS, soonMs: 15 * MINUTE_MS };
    const seen = ['06:44', '06:45', '06:55', '06:56', '07:00'].map((time) => {
      const { capacity, capacitySoon } = at(OFFICE, `2026-11-23T${time}Z`, times);
      return [time, capacity, capacitySoon];
    });
    expect(seen).toEqual([
      ['06:44', 0, 0],
      ['06:45', 0, 2],
      ['06:55', 0, 2],
      ['06:56', 2, 2],
      ['07:00', 2, 2],
    ]);
  });

  test('that is longer than the time between its starts is always open', () => {
    const hourly = '0 * * * * for 2h in UTC at least 1';
    const capacities = Array.from(
      { length: 48 },
      (_, index) => at(hourly, Date.UTC(2026, 10, 23) + index * 17 * MINUTE_MS).capacity,
    );
    expect(new Set(capacities)).toEqual(new Set([1]));
  });
});

test('where windows overlap, the highest minimum counts, and of equal ones the end of the last', () => {
  const overlapping = [
    '0 8 * * * for 10h in UTC at least 2',
    '0 12 * * * for 1h in UTC at least 5',
    '0 9 * * * for 11h in UTC at least 2',
  ].join(';');
  const seen = ['08:30', '12:30', '13:00', '19:00', '20:00'].map((time) => {
    const { capacity, opening } = at(overlapping, `2026-11-23T${time}Z`);
    return [time, capacity, opening?.endsAt.toISOString().slice(11, 16)];
  });
  expect(seen).toEqual([
    ['08:30', 2, '18:00'],
    ['12:30', 5, '13:00'],
    ['13:00', 2, '20:00'],
    ['19:00', 2, '20:00'],
    ['20:00', 0, undefined],
  ]);
});

test.each([
  ['before a window', '2026-11-23T05:00Z', 'start', '2026-11-23T07:00:00.000Z'],
  ['in a window', '2026-11-23T07:00Z', 'end', '2026-11-23T17:00:00.000Z'],
  ['before a weekend', '2026-11-27T17:00Z', 'start', '2026-11-30T07:00:00.000Z'],
])('the next change %s is its %s', (_, instant, kind, change) => {
  expect(at(OFFICE, instant).next).toEqual({ kind, at: new Date(change), timeZone: 'Europe/Berlin' });
});

test('no window asks for nothing', () => {
  expect(at('none', '2026-11-23T07:00Z')).toMatchObject({
    capacity: 0,
    opening: null,
    capacitySoon: 0,
    next: null,
  });
});

test('at any instant, the next change is in the future and nothing changes before it', () => {
  const texts = [
    OFFICE,
    '30 2 * * * for 3h in America/New_York at least 1',
    '*/20 1-3 * * * for 10m in Australia/Lord_Howe at least 4',
  ];
  fc.assert(
    fc.property(
      fc.subarray(texts, { minLength: 1 }),
      fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (chosen, now, share) => {
        const seen = at(chosen.join(';'), now);
        const changeMs = seen.next?.at.getTime() ?? 0;
        expect(changeMs).toBeGreaterThan(now);
        const between = now + Math.floor(share * (changeMs - now));
        expect(at(chosen.join(';'), between).capacity).toBe(seen.capacity);
      },
    ),
  );
});

test.each([
  ['2026-11-23T17:00Z', 'Europe/Berlin', '18:00 (Europe/Berlin)'],
  ['2026-11-23T23:30Z', 'Europe/Berlin', '2026-11-24 00:30 (Europe/Berlin)'],
  ['2026-11-24T04:30Z', 'America/New_York', '23:30 (America/New_York)'],
  ['2026-11-30T08:00Z', 'UTC', '2026-11-30 08:00 (UTC)'],
])('%s is shown in %s as %s', (instant, timeZone, text) => {
  expect(localTimeText(new Date(instant), new Date('2026-11-23T12:00Z'), timeZone)).toBe(text);
});
