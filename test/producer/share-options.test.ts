import { afterEach, expect, test, vi } from 'vitest';

import { parseShareOptions } from '../../producer/cli/share/options.ts';
import { settingsText, shareTable, uploadExample } from '../../producer/cli/share/text.ts';
import { DEFAULT_SETTINGS } from '../../shared/contract/job.ts';

afterEach(() => vi.restoreAllMocks());

const WEEK_MS = 7 * 86_400_000;

test('share parses every action and option', () => {
  const line = 'open acme --for 12h --style great-wave --model other@2 --priority low --max-cost 20 --json';
  expect(parseShareOptions(line.split(' '))).toEqual({
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
  expect(parseShareOptions(['list', '--json'])).toEqual({ verb: 'list', asJson: true });
  const close = { verb: 'close', partner: 'acme', asJson: false };
  expect(parseShareOptions(['close', 'acme'])).toEqual({ ...close, discards: false });
  expect(parseShareOptions(['close', 'acme', '--discard'])).toEqual({ ...close, discards: true });
});

test('share open without job options keeps the agreed settings', () => {
  expect(parseShareOptions(['open', 'acme'])).toEqual({
    verb: 'open',
    partner: 'acme',
    ttlMs: WEEK_MS,
    settings: null,
    asJson: false,
  });
  expect(parseShareOptions(['open', 'acme', '--priority', 'normal'])).toMatchObject({
    settings: DEFAULT_SETTINGS,
  });
});

test.each([
  ['no action', [], 'No action given'],
  ['an unknown action', ['revoke', 'acme'], 'revoke'],
  ['no partner', ['open'], 'partner'],
  ['a name with capitals', ['open', 'Acme'], 'lower-case'],
  ['a name with a path', ['close', '../incoming'], 'lower-case'],
  ['a name of one letter', ['open', 'a'], '2 to 40'],
  ['a name that is too long for a container', ['open', 'a'.repeat(41)], '2 to 40'],
  ['a duration longer than Azure allows', ['open', 'acme', '--for', '8d'], '7 days'],
  ['a duration below the minimum', ['open', 'acme', '--for', '10m'], '1 hour'],
  ['a style without a value', ['open', 'acme', '--style'], '--style'],
])('share rejects %s: %j', (_, argv, named) => {
  expect(() => parseShareOptions(argv)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
});

test.each([[['--help']], [['open', '--help']]])('%j prints the help and nothing else', (argv) => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseShareOptions(argv)).toBeNull();
  expect(stdout.mock.calls.map(([text]) => String(text)).join('')).toContain('Usage: npm run share');
});

test('list prints a line for each partner, with its settings and any problem', () => {
  const agreement = {
    version: 1 as const,
    partner: 'acme',
    settings: { ...DEFAULT_SETTINGS, parameters: { style: 'candy' }, spendingMax: 20 },
    createdAt: '2026-11-20T08:00:00.000Z',
    addressExpiresAt: '2026-11-27T08:00:00.000Z',
  };
  const shares = [
    { partner: 'acme', agreement, waiting: 2 },
    { partner: 'gone', agreement: { ...agreement, partner: 'gone' }, waiting: null },
    { partner: 'odd', agreement: null, waiting: 0 },
  ];
  const settings = 'painter, style candy, normal priority, at most 20';
  const columns = (text: string): string[][] => text.split('\n').map((line) => line.split(/ {2,}/));
  expect(columns(shareTable(shares, new Date('2026-11-25T00:00:00Z')))).toEqual([
    ['PARTNER', 'SETTINGS', 'SINCE', 'ADDRESS EXPIRES', 'WAITING'],
    ['acme', settings, '2026-11-20 08:00:00Z', '2026-11-27 08:00:00Z', '2'],
    ['gone', settings, '2026-11-20 08:00:00Z', '2026-11-27 08:00:00Z', 'no container'],
    ['odd', 'unreadable: open the share again', '-', '-', '0'],
  ]);
  expect(shareTable(shares, new Date('2026-11-27T08:00:00Z'))).toContain('expired');
  expect(settingsText({ ...DEFAULT_SETTINGS, model: { name: 'm', version: '2' } })).toBe(
    'm@2, normal priority',
  );
});

test('the upload example puts the file name before the signature', () => {
  expect(uploadExample('https://a.blob.core.windows.net/share-acme?sv=1&sig=x%2B')).toContain(
    `'https://a.blob.core.windows.net/share-acme/clip.mp4?sv=1&sig=x%2B'`,
  );
});
