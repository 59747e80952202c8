import { afterEach, expect, test, vi } from 'vitest';

import { parseCapOptions } from '../../producer/cli/cap/options.ts';

afterEach(() => vi.restoreAllMocks());

const JOB = '20261123-061502-harbour-9f3a1c';

test('cap parses a job id and an amount, or none', () => {
  expect(parseCapOptions([JOB, '2.50'])).toEqual({ jobId: JOB, spendingMax: 2.5, asJson: false });
  expect(parseCapOptions([JOB, 'none', '--json'])).toEqual({ jobId: JOB, spendingMax: null, asJson: true });
});

test.each([
  ['no argument', [], 'job'],
  ['no amount', [JOB], 'amount'],
  ['an amount of zero', [JOB, '0'], 'above 0'],
  ['an amount that is not a number', [JOB, 'lots'], 'above 0'],
  ['an infinite amount', [JOB, 'Infinity'], 'above 0'],
  ['a negative amount', [JOB, '--', '-5'], 'above 0'],
  ['a job id with a path', ['../incoming', '5'], 'job id'],
  ['an extra argument', [JOB, '5', '6'], 'Too many'],
])('cap rejects %s', (_, argv, named) => {
  expect(() => parseCapOptions(argv)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
});

test('--help prints the help and nothing else', () => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseCapOptions(['--help'])).toBeNull();
  expect(stdout.mock.calls.map(([text]) => String(text)).join('')).toContain('Usage: npm run cap');
});
