import sharp from 'sharp';
import { expect, test } from 'vitest';

import { contactSheet } from '../../../producer/media/contact-sheet.ts';

const picture = (background: string): Promise<Buffer> =>
  sharp({ create: { width: 64, height: 18, channels: 3, background } })
    .jpeg()
    .toBuffer();

test.each([
  [1, { width: 80, height: 34 }],
  [2, { width: 152, height: 34 }],
  [5, { width: 152, height: 86 }],
])('a contact sheet of %i pictures has two columns', async (count, size) => {
  const pictures = await Promise.all(Array.from({ length: count }, () => picture('#4080c0')));
  const { width, height } = await sharp(await contactSheet(pictures)).metadata();
  expect({ width, height }).toEqual(size);
});

test('the pictures are in order, row by row', async () => {
  const sheet = await contactSheet(await Promise.all(['#ff0000', '#00ff00', '#0000ff'].map(picture)));
  const { data, info } = await sharp(sheet).raw().toBuffer({ resolveWithObject: true });
  const brightest = (x: number, y: number): number => {
    const start = (y * info.width + x) * 3;
    const levels = [...data.subarray(start, start + 3)];
    return levels.indexOf(Math.max(...levels));
  };
  expect([brightest(40, 17), brightest(112, 17), brightest(40, 43)]).toEqual([0, 1, 2]);
});
