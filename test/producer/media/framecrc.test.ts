import { expect, test } from 'vitest';

import { FramecrcReader } from '../../../producer/media/framecrc.ts';

const HEADER =
  '#software: Lavf\n#tb 0: 1/25000\n#media_type 0: video\n#codec_id 0: mjpeg\n#dimensions 0: 768x432\n#sar 0: 0/1\n';

/** Feeds the text to the reader in chunks of `pieceLength` characters. */
function parseFramecrc(text: string, pieceLength = 7) {
  const reader = new FramecrcReader();
  for (let at = 0; at < text.length; at += pieceLength) reader.push(text.slice(at, at + pieceLength));
  const { timeBase, pts } = reader.end();
  return { timeBase, pts: [...pts] };
}

test('timestamps are read from the third column, in ticks of the stated time base', () => {
  const text =
    `${HEADER}0,          0,          0,     2000,    14291, 0xd02a425e, S=1,        8\n` +
    '0,       2000,       2040,     2000,    14934, 0x314fde6d, S=1,        8\n';
  for (const pieceLength of [1, 7, text.length]) {
    expect(parseFramecrc(text, pieceLength)).toEqual({
      timeBase: { numerator: 1, denominator: 25_000 },
      pts: [0, 2040],
    });
  }
});

test('negative timestamps and a missing decoding timestamp are accepted', () => {
  const { pts } = parseFramecrc(`${HEADER}0, NOPTS, -512, 512, 9, 0x1\n0, 0, 0, 512, 9, 0x1\n`);
  expect(pts).toEqual([-512, 0]);
});

test('spanSeconds grows as lines are read', () => {
  const reader = new FramecrcReader();
  expect(reader.spanSeconds).toBe(0);
  reader.push(`${HEADER}0, 25000, 25000, 1, 9, 0x1\n`);
  expect(reader.spanSeconds).toBe(0);
  reader.push('0, 75000, 75000, 1, 9, 0x1\n');
  expect([reader.spanSeconds, reader.end().pts.length]).toEqual([2, 2]);
});

test('an endless line is rejected before it fills the memory', () => {
  const reader = new FramecrcReader();
  expect(() => reader.push('0'.repeat(100_000))).toThrow(
    expect.objectContaining({ code: 'MEDIA_TOOL_FAILED' }),
  );
});

test('a list without frames has no timestamps', () => {
  expect(parseFramecrc(HEADER).pts).toEqual([]);
});

test.for([
  ['no time base', '0, 0, 0, 1, 9, 0x1\n'],
  ['a time base of zero', '#tb 0: 0/1\n'],
  ['a frame without a timestamp', `${HEADER}0, 0, NOPTS, 1, 9, 0x1\n`],
  ['a second stream', `${HEADER}1, 0, 0, 1, 9, 0x1\n`],
  ['a truncated line', `${HEADER}0, 0, 0, 1, 9, 0x1\n0, 5`],
  ['a timestamp too large to be exact', `${HEADER}0, 0, 99999999999999999, 1, 9, 0x1\n`],
] as const)('a list with %s is rejected', ([, text]) => {
  expect(() => parseFramecrc(text)).toThrow(expect.objectContaining({ code: 'MEDIA_TOOL_FAILED' }));
});
