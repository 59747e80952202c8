import sharp from 'sharp';
import { expect, test } from 'vitest';

import { contactSheet, cutFromSheet } from '../../../producer/media/contact-sheet.ts';

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
  const sheet = await contactSheet(pictures);
  expect(sheet.cell).toEqual({ width: 64, height: 18 });
  const { width, height } = await sharp(sheet.jpeg).metadata();
  expect({ width, height }).toEqual(size);
});

test('the pictures are in order, row by row', async () => {
  const sheet = await contactSheet(await Promise.all(['#ff0000', '#00ff00', '#0000ff'].map(picture)));
  const { data, info } = await sharp(sheet.jpeg).raw().toBuffer({ resolveWithObject: true });
  const brightest = (x: number, y: number): number => {
    const start = (y * info.width + x) * 3;
    const levels = [...data.subarray(start, start + 3)];
    return levels.indexOf(Math.max(...levels));
  };
  expect([brightest(40, 17), brightest(112, 17), brightest(40, 43)]).toEqual([0, 1, 2]);
});

test('each half of each cell can be cut out again', async () => {
  // Red and green, blue and red, green and blue.
  const colours = ['#ff0000', '#00ff00', '#0000ff'];
  const cells = colours.map(async (left, number) => {
    const right = colours[(number + 1) % 3] ?? '';
    const half = await sharp(await picture(right))
      .resize(32, 18)
      .toBuffer();
    return sharp(await picture(left))
      .composite([{ input: half, left: 32, top: 0 }])
      .jpeg()
      .toBuffer();
  });
  const { jpeg, cell } = await contactSheet(await Promise.all(cells));
  for (const [number] of colours.entries())
    for (const half of ['left', 'right'] as const) {
      const cut = sharp(await cutFromSheet(jpeg, { frames: [0, 8, 16], ...cell }, { number, half }));
      const { width, height } = await sharp(await cut.toBuffer()).metadata();
      expect({ width, height }).toEqual({ width: 32, height: 18 });
      const { channels } = await cut.stats();
      const levels = channels.map(({ mean }) => mean);
      expect(levels.indexOf(Math.max(...levels))).toBe((number + (half === 'left' ? 0 : 1)) % 3);
    }
  await expect(
    cutFromSheet(jpeg, { frames: [0, 8, 16], ...cell }, { number: 9, half: 'left' }),
  ).rejects.toThrow('extract');
});
