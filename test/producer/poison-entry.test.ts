import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { bodyOf, matches, toEntries } from '../../producer/cli/poison/entry.ts';
import { entryTable, framesText } from '../../producer/cli/poison/table.ts';
import { instantText, safeText } from '../../shared/command/text.ts';
import { encodeMessage } from '../../shared/contract/messages.ts';
import { buildPoison } from '../support/build-poison.ts';
import { anyText } from '../support/build-text.ts';

const received = (messageId: string, text: string) => ({
  messageId,
  popReceipt: 'receipt',
  dequeueCount: 1,
  insertedAt: new Date('2026-11-23T06:30:00Z'),
  text,
});
const record = (messageId: string, ...poison: Parameters<typeof buildPoison>) =>
  received(messageId, encodeMessage(buildPoison(...poison)));

test('toEntries groups the copies of a failure and sorts by age', () => {
  const entries = toEntries([
    record('1', 'b', { poisonedAt: '2026-11-23T06:21:00.000Z' }),
    record('2', 'a'),
    record('3', 'b', { poisonedAt: '2026-11-23T06:21:00.000Z' }),
  ]);
  expect(entries.map(({ id, copies }) => [id, copies.map(({ messageId }) => messageId)])).toEqual([
    ['a', ['2']],
    ['b', ['1', '3']],
  ]);
});

test('any message becomes an entry with an id, printed on one line', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const entries = toEntries([received('message-1', text)]);
      expect(entries).toMatchObject([{ id: 'message-1', batch: null, isRecord: false }]);
      expect(entryTable(entries).split('\n')).toHaveLength(2);
      expect(entries.map(bodyOf)).toEqual([text]);
    }),
  );
});

test('a filter matches only entries that fulfil all of its criteria', () => {
  const [entry] = toEntries([record('1', 'a', { jobId: 'job-1', reason: 'engine' })]);
  const any = { jobId: undefined, reason: undefined, ids: [] };
  const isMatch = (filter: object): boolean => entry !== undefined && matches(entry, { ...any, ...filter });
  expect(isMatch({})).toBe(true);
  expect(isMatch({ jobId: 'job-1', reason: 'engine', ids: ['b', 'a'] })).toBe(true);
  expect(isMatch({ jobId: 'job-2', reason: 'engine' })).toBe(false);
  expect(isMatch({ reason: 'model' })).toBe(false);
  expect(isMatch({ ids: ['b'] })).toBe(false);
});

test.each([
  [
    [
      [12, 15],
      [20, 21],
    ],
    '12-14,20',
  ],
  [
    [
      [20, 21],
      [12, 14],
      [14, 15],
    ],
    '12-14,20',
  ],
  [
    [
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ],
    '0,2,…',
  ],
] as const)('framesText prints %j as %s', (ranges, text) => {
  expect(framesText(ranges, 2)).toBe(text);
});

test('instantText drops fractions of a second', () => {
  expect(instantText('2026-11-23T06:20:00.123Z')).toBe('2026-11-23 06:20:00Z');
  expect(instantText('2026-11-23T06:20:00Z')).toBe('2026-11-23 06:20:00Z');
});

test('safeText replaces all control characters', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      // oxlint-disable-next-line no-control-regex -- the pattern matches control characters
      expect(safeText(text)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }),
  );
  expect(safeText('a\u001b]0;title\u0007\nb')).toBe('a·]0;title·\nb');
});
