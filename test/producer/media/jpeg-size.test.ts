import sharp from 'sharp';
import { expect, test } from 'vitest';

import { isWholeJpeg, jpegSize } from '../../../producer/media/jpeg-size.ts';

const create = { width: 37, height: 21, channels: 3, background: '#48a' } as const;
const whole = await sharp({ create }).jpeg().toBuffer();

test('a JPEG says its size', () => {
  expect(jpegSize(whole)).toEqual({ width: 37, height: 21 });
});

test('what is cut off, empty or something else is no whole JPEG', () => {
  expect(isWholeJpeg(whole)).toBe(true);
  for (const bytes of [
    whole.subarray(0, whole.length - 3),
    whole.subarray(2),
    Buffer.alloc(0),
    Buffer.from('this is no picture'),
    Buffer.from([0xff, 0xd8, 0xff, 0xd9]),
  ])
    expect(isWholeJpeg(bytes)).toBe(false);
});
