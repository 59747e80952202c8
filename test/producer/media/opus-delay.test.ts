import { expect, test } from 'vitest';

import { preSkipSamples } from '../../../producer/media/opus-delay.ts';

test('preSkipSamples reads the pre-skip from the dump of an OpusHead', () => {
  const dump =
    '\n00000000: 4f70 7573 4865 6164 0101 3801 80bb 0000  OpusHead..8.....\n' +
    '00000010: 0000 00                                  ...\n';
  expect(preSkipSamples(dump)).toBe(312);
});

test('preSkipSamples returns 0 if the dump is not an OpusHead', () => {
  expect(preSkipSamples('')).toBe(0);
  expect(preSkipSamples('\n00000000: 1190                                     ..\n')).toBe(0);
});
