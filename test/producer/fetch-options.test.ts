import { afterEach, expect, test, vi } from 'vitest';

import { parseFetchOptions } from '../../producer/cli/fetch/options.ts';

const JOB = '20261123-061502-harbour-9f3a1c';
afterEach(() => vi.restoreAllMocks());

test('fetch writes to the current folder and replaces nothing by default', () => {
  expect(parseFetchOptions([JOB])).toEqual({
    jobId: JOB,
    outputPath: undefined,
    mayReplace: false,
    asJson: false,
  });
});

test('fetch accepts every option', () => {
  expect(parseFetchOptions([JOB, '--out', 'b/', '--force', '--json'])).toEqual({
    jobId: JOB,
    outputPath: 'b/',
    mayReplace: true,
    asJson: true,
  });
});

test.each([[[]], [['../other']], [['Job']], [[JOB, 'b']], [[JOB, '--style', 'candy']]])(
  'fetch rejects an invalid command line: %j',
  (argv) => {
    expect(() => parseFetchOptions(argv)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
  },
);

test('--help prints the help and nothing else', () => {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseFetchOptions(['--help'])).toBeNull();
  expect(write.mock.calls.join('')).toContain('npm run fetch');
});
