import { expect, test } from 'vitest';

import { failureLines } from '../../producer/cli/enqueue/failures.ts';

const failed = (frame: number, reason: string, name?: string) => ({
  frame,
  kind: 'inference',
  reason,
  ...(name !== undefined && { name }),
});

test('failed frames are listed by reason, neighbours as ranges', () => {
  const failures = [
    failed(3, 'it is red'),
    failed(4, 'it is red'),
    failed(9, 'it is red'),
    failed(5, 'too dark'),
  ];
  expect(failureLines(failures)).toEqual(['  frames 3-4, 9: it is red', '  frame 5: too dark']);
});

test('failed images are listed by name', () => {
  const failures = [failed(0, 'it is damaged', 'a b.jpg'), failed(2, 'it is damaged', 'day 2/c.png')];
  expect(failureLines(failures)).toEqual(['  a b.jpg, day 2/c.png: it is damaged']);
});

test('long lists are cut, and say how much is missing', () => {
  const scattered = Array.from({ length: 7 }, (_, index) => failed(index * 2, 'it is red'));
  expect(failureLines(scattered)).toEqual(['  frames 0, 2, 4, 6, 8 and 2 more: it is red']);
  const various = Array.from({ length: 6 }, (_, index) => failed(index, `reason ${index}`));
  expect(failureLines(various).at(-1)).toBe('  and 1 more reason');
});
