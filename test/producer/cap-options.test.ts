import { afterEach, expect, test, vi } from 'vitest';

import { parseOptions } from '../../producer/cli/cap/options.ts';

afterEach(() => vi.restoreAllMocks());

const JOB = '20261123-061502-harbour-9f3a1c';

test('the job and its cap are read', () => {
  expect(parseOptions([JOB, '2.50'])).toEqual({ jobId: JOB, spendingMax: 2.5, asJson: false });
  expect(parseOptions([JOB, 'none', '--json'])).toEqual({ jobId: JOB, spendingMax: null, asJson: true });
});

test.each([
  ['nothing', [], 'job'],
  ['no amount', [JOB], 'amount'],
  ['an amount of nothing', [JOB, '0'], 'above 0'],
  ['an amount that is none', [JOB, 'lots'], 'above 0'],
  ['an amount without end', [JOB, 'Infinity'], 'above 0'],
  ['a negative amount', [JOB, '--', '-5'], 'above 0'],
  ['a job that leads elsewhere', ['../incoming', '5'], 'job id'],
  ['one word too many', [JOB, '5', '6'], 'Too many'],
])('%s is refused', (_, argv, named) => {
  expect(() => parseOptions(argv)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
});

test('--help prints help, and that is all', () => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseOptions(['--help'])).toBeNull();
  expect(stdout.mock.calls.map(([text]) => String(text)).join('')).toContain('Usage: npm run cap');
});
