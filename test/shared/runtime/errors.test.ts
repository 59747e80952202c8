import { expect, test } from 'vitest';

import {
  ERROR_EXITS,
  EXIT,
  PermanentError,
  TransientError,
  describeError,
  errnoOf,
  exitStatusOf,
} from '../../../shared/runtime/errors.ts';

test.each([
  [new PermanentError('USAGE', 'x'), 64],
  [new PermanentError('SOURCE_NOT_VIDEO', 'x'), 65],
  [new PermanentError('SOURCE_MISSING', 'x'), 66],
  [new TransientError('STORAGE_UNAVAILABLE', 'x'), 69],
  [new PermanentError('OUTPUT_NOT_WRITABLE', 'x'), 73],
  [new PermanentError('TOO_MANY_FAILED_FRAMES', 'x'), 1],
  [new PermanentError('INTERRUPTED', 'x'), 130],
  [new Error('USAGE'), 70],
  ['USAGE', 70],
  [undefined, 70],
])('%s ends a program with exit status %i', (error, status) => {
  expect(exitStatusOf(error)).toBe(status);
});

test('the exit status of every error is neither success nor beyond what a shell can represent', () => {
  for (const status of Object.values(ERROR_EXITS)) {
    expect(status).not.toBe(EXIT.ok);
    expect(status).toBeLessThanOrEqual(EXIT.interrupted);
  }
});

test('an error has its code, hint, cause and class name', () => {
  const cause = new Error('no route');
  const error = new TransientError('REDIS_UNAVAILABLE', 'Cannot reach Redis.', { hint: 'Start it.', cause });
  expect(error).toMatchObject({ name: 'TransientError', code: 'REDIS_UNAVAILABLE', hint: 'Start it.' });
  expect(error.cause).toBe(cause);
  expect(new PermanentError('USAGE', 'x')).not.toHaveProperty('cause');
});

test('describeError returns the error and all its causes in one line', () => {
  const socket = new Error('connect ECONNREFUSED');
  const storage = new Error('cannot list', { cause: socket });
  const error = new PermanentError('INTERNAL', 'The scan failed.', { cause: storage });
  expect(describeError(error)).toBe(
    'The scan failed. (because: cannot list (because: connect ECONNREFUSED))',
  );
  expect(describeError(new Error('plain', { cause: 'a text' }))).toBe('plain (because: a text)');
  expect(describeError('a text')).toBe('a text');
  expect(describeError(undefined)).toBe('undefined');
});

test('errnoOf returns the code of a system error, and undefined for any other value', () => {
  expect(errnoOf(Object.assign(new Error('open'), { code: 'ENOENT' }))).toBe('ENOENT');
  for (const other of [new Error('ENOENT'), { code: 404 }, 'ENOENT', null, undefined]) {
    expect(errnoOf(other)).toBeUndefined();
  }
});
