import sharp from 'sharp';
import { expect, test } from 'vitest';

import { isWholeJpeg, jpegSize } from '../../../producer/media/jpeg-size.ts';

const create = { width: 37, height: 21, channels: 3, background: '#48a' } as const;
const whole = await sharp({ create }).jpeg().toBuffer();

test('jpegSize reads the size of a JPEG', () => {
  expect(jpegSize(whole)).toEqual({ width: 37, height: 21 });
});

test('isWholeJpeg rejects truncated, empty and foreign data', () => {
  expect(isWholeJpeg(whole)).toBe(true);
  for (const bytes of [
    whole.subarray(0, whole.length - 3),
    whole.subarray(2),
    Buffer.alloc(0),
    Buffer.from('not an image'),
    Buffer.from([0xff, 0xd8, 0xff, 0xd9]),
  ])
    expect(isWholeJpeg(bytes)).toBe(false);
});
