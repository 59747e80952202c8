import { afterEach, expect, test, vi } from 'vitest';

import { parsePoisonOptions } from '../../producer/cli/poison/options.ts';

afterEach(() => vi.restoreAllMocks());

const ANY = { jobId: undefined, reason: undefined, ids: [] };

test('poison parses every action and filter', () => {
  expect(parsePoisonOptions(['list'])).toEqual({ verb: 'list', filter: ANY, asJson: false });
  expect(parsePoisonOptions(['show', 'a', '--json'])).toEqual({
    verb: 'show',
    filter: { ...ANY, ids: ['a'] },
    asJson: true,
  });
  const filter = { jobId: 'job-1', reason: 'engine', ids: ['a', 'b'] };
  const filters = '--job job-1 --reason engine --id a --id b --json'.split(' ');
  for (const verb of ['list', 'redrive', 'drop'] as const) {
    expect(parsePoisonOptions([verb, ...filters])).toEqual({ verb, filter, asJson: true });
  }
});

test('redrive and drop act on all entries only with --all', () => {
  for (const verb of ['redrive', 'drop'] as const) {
    expect(() => parsePoisonOptions([verb])).toThrow(/No entries given/);
    expect(parsePoisonOptions([verb, '--all'])).toEqual({ verb, filter: ANY, asJson: false });
    expect(parsePoisonOptions([verb, '--job', 'job-1', '--all'])?.filter).toEqual({ ...ANY, jobId: 'job-1' });
  }
});

test.each([
  ['no action', [], 'No action given'],
  ['an unknown action', ['remove'], 'remove'],
  ['show without an id', ['show'], 'id'],
  ['two ids for show', ['show', 'a', 'b'], '2'],
  ['an unknown reason', ['list', '--reason', 'bad'], 'inference'],
  ['an invalid job id', ['drop', '--job', '../x'], '20261123'],
  ['an unknown option', ['list', '--all'], '--all'],
])('poison rejects %s: %j', (_, argv, named) => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  expect(() => parsePoisonOptions(argv)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
  expect(stderr).not.toHaveBeenCalled();
});

test.each([[['--help']], [['help']], [['drop', '--help']]])('%j prints the help and nothing else', (argv) => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parsePoisonOptions(argv)).toBeNull();
  expect(stdout.mock.calls.map(([text]) => String(text)).join('')).toContain('Usage: npm run poison');
});
