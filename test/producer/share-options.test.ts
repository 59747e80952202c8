import { afterEach, expect, test, vi } from 'vitest';

import { parseOptions } from '../../producer/cli/share/options.ts';
import { settingsText, shareTable, uploadExample } from '../../producer/cli/share/text.ts';
import { DEFAULT_SETTINGS } from '../../shared/contract/job.ts';

afterEach(() => vi.restoreAllMocks());

const WEEK_MS = 7 * 86_400_000;

test('what is asked for is heard', () => {
  const said = 'open acme --for 12h --style great-wave --model other@2 --priority low --max-cost 20 --json';
  expect(parseOptions(said.split(' '))).toEqual({
    verb: 'open',
    partner: 'acme',
    ttlMs: 12 * 3_600_000,
    settings: {
      ...DEFAULT_SETTINGS,
      model: { name: 'other', version: '2' },
      parameters: { style: 'great-wave' },
      priority: 'low',
      spendingMax: 20,
    },
    asJson: true,
  });
  expect(parseOptions(['list', '--json'])).toEqual({ verb: 'list', asJson: true });
  const close = { verb: 'close', partner: 'acme', asJson: false };
  expect(parseOptions(['close', 'acme'])).toEqual({ ...close, discards: false });
  expect(parseOptions(['close', 'acme', '--discard'])).toEqual({ ...close, discards: true });
});

test('where nothing is said of the jobs, nothing is meant: what was agreed stands', () => {
  expect(parseOptions(['open', 'acme'])).toEqual({
    verb: 'open',
    partner: 'acme',
    ttlMs: WEEK_MS,
    settings: null,
    asJson: false,
  });
  expect(parseOptions(['open', 'acme', '--priority', 'normal'])).toMatchObject({
    settings: DEFAULT_SETTINGS,
  });
});

test.each([
  ['no action', [], 'No action given'],
  ['a verb that there is not', ['revoke', 'acme'], 'revoke'],
  ['nobody', ['open'], 'partner'],
  ['a name with capitals', ['open', 'Acme'], 'lower-case'],
  ['a name that leads elsewhere', ['close', '../incoming'], 'lower-case'],
  ['a name of one letter', ['open', 'a'], '2 to 40'],
  ['a name that is too long for a container', ['open', 'a'.repeat(41)], '2 to 40'],
  ['a time that Azure does not sign for', ['open', 'acme', '--for', '8d'], '7 days'],
  ['a time that is over at once', ['open', 'acme', '--for', '10m'], '1 hour'],
  ['a style without its name', ['open', 'acme', '--style'], '--style'],
])('%s is refused: %j', (_, argv, named) => {
  expect(() => parseOptions(argv)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
});

test.each([[['--help']], [['open', '--help']]])('%j prints help, and that is all', (argv) => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseOptions(argv)).toBeNull();
  expect(stdout.mock.calls.map(([text]) => String(text)).join('')).toContain('Usage: npm run share');
});

test('a partner is a line, with what becomes of the files and what is the matter', () => {
  const agreement = {
    version: 1 as const,
    partner: 'acme',
    settings: { ...DEFAULT_SETTINGS, parameters: { style: 'udnie' }, spendingMax: 20 },
    createdAt: '2026-11-20T08:00:00.000Z',
    addressExpiresAt: '2026-11-27T08:00:00.000Z',
  };
  const shares = [
    { partner: 'acme', agreement, waiting: 2 },
    { partner: 'gone', agreement: { ...agreement, partner: 'gone' }, waiting: null },
    { partner: 'odd', agreement: null, waiting: 0 },
  ];
  const becomes = 'painter, style udnie, normal priority, at most 20';
  const columns = (text: string): string[][] => text.split('\n').map((line) => line.split(/ {2,}/));
  expect(columns(shareTable(shares, new Date('2026-11-25T00:00:00Z')))).toEqual([
    ['PARTNER', 'BECOMES', 'SINCE', 'ADDRESS WORKS UNTIL', 'WAITING'],
    ['acme', becomes, '2026-11-20 08:00:00Z', '2026-11-27 08:00:00Z', '2'],
    ['gone', becomes, '2026-11-20 08:00:00Z', '2026-11-27 08:00:00Z', 'no container'],
    ['odd', 'unreadable: open it again', '-', '-', '0'],
  ]);
  expect(shareTable(shares, new Date('2026-11-27T08:00:00Z'))).toContain('over');
  expect(settingsText({ ...DEFAULT_SETTINGS, model: { name: 'm', version: '2' } })).toBe(
    'm@2, normal priority',
  );
});

test('the example puts the name of the file before the signature', () => {
  expect(uploadExample('https://a.blob.core.windows.net/share-acme?sv=1&sig=x%2B')).toContain(
    `'https://a.blob.core.windows.net/share-acme/clip.mp4?sv=1&sig=x%2B'`,
  );
});
