/** The command lines of `npm run scale` and `npm run explain`, durations, and the scaler's configuration. */
import { describe, expect, test } from 'vitest';

import { parseExplainOptions } from '../../scaler/cli/explain-options.ts';
import { parseScaleOptions } from '../../scaler/cli/scale-options.ts';
import { scalerConfig } from '../../scaler/config.ts';
import { parseDuration } from '../../shared/command/duration.ts';

const parse = (...argv: string[]) => parseScaleOptions(argv, 'ada@desk');
const WHY = ['--because', 'demo at ten'];
const WINDOW = '0 8 * * 1-5 for 10h in Europe/Berlin at least 2';
const SIGNED = { reason: 'demo at ten', author: 'ada@desk' };

test.each([
  ['90s', 90],
  ['30m', 1800],
  ['2h', 7200],
  ['7d', 604_800],
  [' 5m ', 300],
])('parseDuration() reads %j as %i s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(['', '30', 'm', '-5m', '1.5h', '2 h', '5w', '1h30m', '9999999s'])(
  'parseDuration() rejects %j',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

describe('npm run scale', () => {
  test.each([
    ['a number', ['4', '--for', '30m'], { mode: 'fixed', capacity: 4, ttlSeconds: 1800 }],
    ['zero', ['0', '--for', '30m'], { mode: 'fixed', capacity: 0, ttlSeconds: 1800 }],
    ['--min', ['--min', '2', '--for', '2h'], { mode: 'min', capacity: 2, ttlSeconds: 7200 }],
    ['--max', ['--max', '8', '--for', '7d'], { mode: 'max', capacity: 8, ttlSeconds: 604_800 }],
    ['--pause', ['--pause', '--for', '60s'], { mode: 'pause', ttlSeconds: 60 }],
    [
      '--schedule',
      ['--schedule', WINDOW, '--for', '7d'],
      { mode: 'schedule', schedule: WINDOW, ttlSeconds: 604_800 },
    ],
  ])('%s becomes an override request', (_, argv, request) => {
    expect(parse(...argv, ...WHY)).toEqual({
      kind: 'set',
      request: { ...request, ...SIGNED },
      asJson: false,
    });
  });

  test('--end ends an override, no arguments show it, --author sets the author', () => {
    expect(parse('--end', ...WHY)).toEqual({ kind: 'end', request: SIGNED, asJson: false });
    expect(parse()).toEqual({ kind: 'show', asJson: false });
    expect(parse('--json')).toEqual({ kind: 'show', asJson: true });
    expect(parse('--end', ...WHY, '--author', 'bob')).toMatchObject({ request: { author: 'bob' } });
  });

  test.each([
    ['two actions', ['4', '--min', '2', '--for', '1h', ...WHY], /only one/],
    ['a schedule and a number', ['4', '--schedule', WINDOW, '--for', '1h', ...WHY], /only one/],
    ['a schedule without a duration', ['--schedule', WINDOW, ...WHY], /^Missing: --for/],
    ['a schedule that is not one', ['--schedule', '0 8 * * 1-5', '--for', '1h', ...WHY], /five cron fields/],
    ['no duration', ['4', ...WHY], /^Missing: --for/],
    ['no reason', ['4', '--for', '1h'], /^Missing: --because/],
    ['neither duration nor reason', ['4'], /^Missing: --for .*; and --because/],
    ['an empty reason', ['--end', '--because', ' '], /^Missing: --because/],
    ['a reason without an action', [...WHY], /No action given/],
    ['half an instance', ['1.5', '--for', '1h', ...WHY], /whole number/],
    ['a negative number', ['--min=-2', '--for', '1h', ...WHY], /whole number/],
    ['a duration that is too short', ['4', '--for', '59s', ...WHY], /from 1 minute to 7 days/],
    ['a duration that is too long', ['4', '--for', '8d', ...WHY], /from 1 minute to 7 days/],
    ['an unknown option', ['4', '--force'], /[Uu]nknown option/],
    ['a second number', ['4', '5'], /[Tt]oo many arguments/],
  ])('%s is a usage error with a hint', (_, argv, sentence) => {
    expect(() => parse(...argv)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: expect.stringMatching(sentence) as string,
        hint: expect.stringContaining('npm run scale') as string,
      }),
    );
  });
});

describe('npm run explain', () => {
  test('accepts several --what-if options', () => {
    expect(parseExplainOptions([])).toEqual({ whatIf: {}, asJson: false });
    const argv = ['--what-if', 'backlog=100000', '--what-if', 'capacityMax=40', '--json'];
    expect(parseExplainOptions(argv)).toEqual({
      whatIf: { backlog: '100000', capacityMax: '40' },
      asJson: true,
    });
  });

  test.each([['backlog'], ['backlog='], ['frames=5'], ['=5']])('--what-if %s is refused', (text) => {
    expect(() => parseExplainOptions(['--what-if', text])).toThrow(/Names: backlog/);
  });
});

describe('the scaler configuration', () => {
  const BASE = {
    FRAMEFLEET_MEDIA_STORAGE: 'mediaaccount',
    FRAMEFLEET_SYSTEM_STORAGE: 'systemaccount',
    FRAMEFLEET_REDIS_URL: 'redis://127.0.0.1:6379',
  };
  const AZURE = {
    ...BASE,
    FRAMEFLEET_FLEET: 'azure',
    FRAMEFLEET_SUBSCRIPTION_ID: 's',
    FRAMEFLEET_RESOURCE_GROUP: 'g',
    FRAMEFLEET_SCALE_SETS: 'gpu-spot:spot, gpu:on-demand',
    FRAMEFLEET_PRICES: 'gpu-spot=0.09,gpu=0.75',
  };

  test('keeps the order of the scale sets and reads their prices', () => {
    expect(scalerConfig(AZURE)).toMatchObject({
      fleet: {
        kind: 'azure',
        scaleSets: [
          { name: 'gpu-spot', kind: 'spot' },
          { name: 'gpu', kind: 'on-demand' },
        ],
      },
      policy: { pricePerHour: { 'gpu-spot': 0.09, gpu: 0.75 }, capacityMax: 10 },
      token: null,
    });
  });

  test('passes no secret of the control plane to workers', () => {
    const { workerEnvironment, token } = scalerConfig({
      ...BASE,
      FRAMEFLEET_SCALER_TOKEN: 'a-very-secret-token',
    });
    expect(token).toBe('a-very-secret-token');
    expect(JSON.stringify(workerEnvironment)).not.toMatch(/secret|redis:/);
  });

  test.each([
    ['scale sets without a kind', { ...AZURE, FRAMEFLEET_SCALE_SETS: 'gpu' }, /FRAMEFLEET_SCALE_SETS/],
    ['no scale sets', { ...AZURE, FRAMEFLEET_SCALE_SETS: '' }, /FRAMEFLEET_SCALE_SETS/],
    ['no subscription', { ...AZURE, FRAMEFLEET_SUBSCRIPTION_ID: undefined }, /FRAMEFLEET_SUBSCRIPTION_ID/],
    ['a price that is not a number', { ...AZURE, FRAMEFLEET_PRICES: 'gpu=cheap' }, /FRAMEFLEET_PRICES/],
    ['a short token', { ...BASE, FRAMEFLEET_SCALER_TOKEN: 'short' }, /FRAMEFLEET_SCALER_TOKEN/],
    [
      'a token file that does not exist',
      { ...BASE, FRAMEFLEET_SCALER_TOKEN_FILE: '/no/where' },
      /TOKEN_FILE/,
    ],
    [
      'a schedule that is not one',
      { ...BASE, FRAMEFLEET_SCHEDULE: '0 8 * * 1-5 for 10h in Europe/Berln at least 2' },
      /FRAMEFLEET_SCHEDULE: expected the name of a time zone/,
    ],
    [
      'a schedule above the maximum',
      { ...BASE, FRAMEFLEET_SCHEDULE: WINDOW, FRAMEFLEET_CAPACITY_MAX: '1' },
      /a window of the schedule must not ask for more than the maximum capacity/,
    ],
    [
      'a minimum above the maximum',
      { ...BASE, FRAMEFLEET_CAPACITY_MIN: '9', FRAMEFLEET_CAPACITY_MAX: '2' },
      /minimum capacity/,
    ],
  ])(
    'with %s is refused; the error names the variable and does not show the secret',
    (_, environment, sentence) => {
      expect(() => scalerConfig(environment)).toThrow(
        expect.objectContaining({
          code: 'CONFIG_INVALID',
          message: expect.stringMatching(sentence) as string,
        }),
      );
      expect(() => scalerConfig(environment)).not.toThrow(/found "short"/);
    },
  );
});
