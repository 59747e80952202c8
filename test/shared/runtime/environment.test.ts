import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';

import {
  type Environment,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../../../shared/runtime/environment.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';

const schema = z.object({
  FRAMEFLEET_NAME: z.string().min(3),
  FRAMEFLEET_COUNT: wholeNumber({ min: 1, max: 8, fallback: 4 }),
  FRAMEFLEET_WAIT_SECONDS: secondsAsMs({ min: 0.5, max: 60, fallback: 5 }),
  FRAMEFLEET_SYSTEM_STORAGE: z.string().min(3).max(5).optional(),
  FRAMEFLEET_REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
});

function environmentError(environment: Environment): PermanentError {
  try {
    parseEnvironment(schema, environment);
  } catch (error) {
    if (error instanceof PermanentError) return error;
  }
  throw new Error('expected the environment to be rejected');
}

test('one error names every invalid variable with the value found', () => {
  const { code, message } = environmentError({
    FRAMEFLEET_COUNT: '9',
    FRAMEFLEET_WAIT_SECONDS: 'soon',
    FRAMEFLEET_REDIS_URL: 'http://example.org',
  });
  expect(code).toBe('CONFIG_INVALID');
  expect(message).toMatch(/^ {2}FRAMEFLEET_NAME: .*; found nothing$/m);
  expect(message).toMatch(/^ {2}FRAMEFLEET_COUNT: .*8; found "9"$/m);
  expect(message).toMatch(/^ {2}FRAMEFLEET_WAIT_SECONDS: .*; found "soon"$/m);
  expect(message).toMatch(/^ {2}FRAMEFLEET_REDIS_URL: /m);
  expect(message).not.toContain('FRAMEFLEET_SYSTEM_STORAGE');
});

test.each([
  [{ FRAMEFLEET_COUNT: 'two' }, 'FRAMEFLEET_COUNT: expected a number; found "two"'],
  [{ FRAMEFLEET_COUNT: '2.5' }, 'FRAMEFLEET_COUNT: expected a whole number; found "2.5"'],
  [{ FRAMEFLEET_COUNT: '0' }, 'FRAMEFLEET_COUNT: expected at least 1; found "0"'],
  [{ FRAMEFLEET_WAIT_SECONDS: '61' }, 'FRAMEFLEET_WAIT_SECONDS: expected at most 60; found "61"'],
  [{ FRAMEFLEET_NAME: 'ab' }, 'FRAMEFLEET_NAME: expected at least 3 characters; found "ab"'],
  [{ FRAMEFLEET_REDIS_URL: 'here' }, 'FRAMEFLEET_REDIS_URL: expected a URL; found 4 characters'],
])('an invalid value is reported in plain words: %j', (environment, line) => {
  expect(environmentError({ FRAMEFLEET_NAME: 'name', ...environment }).message).toContain(`  ${line}`);
});

test('for a variable that may hold a secret, only the length of its value is printed', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{20,60}$/), (secret) => {
      const environment = {
        FRAMEFLEET_SYSTEM_STORAGE: secret,
        FRAMEFLEET_REDIS_URL: `nope://:${secret}@host`,
      };
      const { message, hint = '' } = environmentError({ FRAMEFLEET_NAME: 'name', ...environment });
      expect(message + hint).not.toContain(secret);
      expect(message).toContain(`found ${secret.length} characters`);
      expect(message).toContain('FRAMEFLEET_REDIS_URL');
    }),
  );
});

test('an empty variable counts as unset, and unknown variables are ignored', () => {
  const set = parseEnvironment(schema, {
    FRAMEFLEET_NAME: 'name',
    FRAMEFLEET_COUNT: '',
    FRAMEFLEET_WAIT_SECONDS: undefined,
    FRAMEFLEET_REDIS_URL: '',
    PATH: '/bin',
  });
  expect(set).toEqual({ FRAMEFLEET_NAME: 'name', FRAMEFLEET_COUNT: 4, FRAMEFLEET_WAIT_SECONDS: 5000 });
});

test.each([
  ['0.5', 500],
  ['60', 60_000],
  ['1.2345', 1235],
])('%s seconds are parsed as %i ms', (seconds, ms) => {
  const set = parseEnvironment(schema, { FRAMEFLEET_NAME: 'name', FRAMEFLEET_WAIT_SECONDS: seconds });
  expect(set.FRAMEFLEET_WAIT_SECONDS).toBe(ms);
});

test.each(['0', '9', '1.5', '1e3', 'x', 'NaN', 'Infinity', '-1'])(
  '%s is rejected as a whole number from 1 to 8',
  (count) => {
    const found = `found "${count}"`;
    expect(environmentError({ FRAMEFLEET_NAME: 'name', FRAMEFLEET_COUNT: count }).message).toContain(found);
  },
);

test.each(['0.4', '60.1', '-1', '1s'])('%s is rejected as a number of seconds from 0.5 to 60', (seconds) => {
  const found = `found "${seconds}"`;
  expect(environmentError({ FRAMEFLEET_NAME: 'name', FRAMEFLEET_WAIT_SECONDS: seconds }).message).toContain(
    found,
  );
});
