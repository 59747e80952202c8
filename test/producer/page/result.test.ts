/** Which part of a result a player asks for. */
import { expect, test } from 'vitest';

import { partOf } from '../../../producer/page/result.ts';

test.each([
  [undefined, null],
  ['bytes=0-', { offset: 0, bytes: 1000 }],
  ['bytes=0-0', { offset: 0, bytes: 1 }],
  ['bytes=990-', { offset: 990, bytes: 10 }],
  ['bytes=990-5000', { offset: 990, bytes: 10 }],
  ['bytes=-10', { offset: 990, bytes: 10 }],
  ['bytes=-5000', { offset: 0, bytes: 1000 }],
  ['bytes=1000-', 'outside'],
  ['bytes=-0', 'outside'],
  // What is not understood gets the whole.
  ['bytes=20-10', null],
  ['bytes=0-1,5-6', null],
  ['bytes=-', null],
  ['frames=0-1', null],
] as const)('%s of 1000 bytes', (range, part) => {
  expect(partOf(range, 1000)).toEqual(part);
});
