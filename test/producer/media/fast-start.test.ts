/** Moving the index of an .mp4 to its front: the offsets, and when they need 64 bits. */
import { expect, test } from 'vitest';

import { indexForFront } from '../../../producer/media/fast-start.ts';
import { boxesOf, makeBox } from '../../../producer/media/mp4-boxes.ts';

function table(type: 'stco' | 'co64', offsets: readonly number[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(offsets.length, 4);
  const entries = offsets.map((offset) => {
    const entry = Buffer.alloc(type === 'co64' ? 8 : 4);
    if (type === 'co64') entry.writeBigUInt64BE(BigInt(offset));
    else entry.writeUInt32BE(offset);
    return entry;
  });
  return makeBox(type, [head, ...entries]);
}

const track = (chunks: Buffer): Buffer =>
  makeBox('trak', [
    makeBox('tkhd', [Buffer.from('as it is')]),
    makeBox('mdia', [makeBox('minf', [makeBox('stbl', [makeBox('stsz', [Buffer.alloc(12, 7)]), chunks])])]),
  ]);
const index = (...tables: readonly Buffer[]): Buffer =>
  makeBox('moov', [makeBox('mvhd', [Buffer.alloc(100, 1)]), ...tables.map(track)]);

/** By its own length, each offset is larger. */
test.each([
  ['32 bits', index(table('stco', [48, 1000]), table('stco', [500])), 'stco', 'stco', [48, 1000]],
  ['64 bits', index(table('co64', [48, 2 ** 40]), table('stco', [500])), 'co64', 'co64', [48, 2 ** 40]],
  [
    '32 bits that are no longer enough',
    index(table('stco', [48, 2 ** 32 - 100]), table('stco', [500])),
    'co64',
    'co64',
    [48, 2 ** 32 - 100],
  ],
] as const)('offsets of %s', (_, moov, first, second, offsets) => {
  const moved = indexForFront(moov);
  const shifted = offsets.map((offset) => offset + moved.length);
  expect(moved).toEqual(index(table(first, shifted), table(second, [500 + moved.length])));
  expect(boxesOf(moved).map(({ type }) => type)).toEqual(['moov']);
});

test('an index whose tables end too early is refused', () => {
  const moov = index(table('stco', [48, 1000]));
  moov.writeUInt32BE(9, moov.indexOf('stco') + 8);
  expect(() => indexForFront(moov)).toThrow(RangeError);
});
