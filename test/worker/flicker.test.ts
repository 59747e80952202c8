import { expect, test } from 'vitest';

import { wholePicture } from '../../worker/engine/fit.ts';
import { FlickerMeter } from '../../worker/engine/flicker.ts';

const SIZE = { width: 128, height: 72 };
const FIT = { input: wholePicture(SIZE), output: wholePicture(SIZE) };
const plain = (level: number): Uint8Array => new Uint8Array(SIZE.width * SIZE.height * 3).fill(level);

/** Grey levels, by frame, before and after the model. */
function flickerOf(levels: readonly (readonly [number, number])[], replaced: readonly number[] = []): number {
  const meter = new FlickerMeter(FIT);
  for (const [frameIndex, [before, after]] of levels.entries())
    meter.add({
      frameIndex,
      input: plain(before),
      output: plain(after),
      isReplaced: replaced.includes(frameIndex),
    });
  const { sum, points } = meter.take();
  return sum / points;
}

test('flicker is the mean change after the model of what stands still before it', () => {
  expect(
    flickerOf([
      [10, 50],
      [10, 56],
      [11, 56],
    ]),
  ).toBe(3);
  expect(
    flickerOf([
      [10, 50],
      [10, 50],
    ]),
  ).toBe(0);
});

test('what moves does not count, and without anything still there is no flicker', () => {
  expect(
    flickerOf([
      [10, 50],
      [13, 90],
      [13, 91],
    ]),
  ).toBe(1);
  expect(
    flickerOf([
      [10, 50],
      [13, 90],
    ]),
  ).toBeNaN();
});

test('a frame that shows a replacement is left out', () => {
  expect(
    flickerOf(
      [
        [10, 50],
        [10, 10],
        [10, 50],
        [10, 52],
      ],
      [1],
    ),
  ).toBe(2);
});

test('only the part of a picture that shows the frame is measured, whatever the scale of the output', () => {
  const input = { ...SIZE, shown: { x: 0, y: 18, width: 128, height: 36 } };
  const output = { width: 256, height: 144, shown: { x: 0, y: 36, width: 256, height: 72 } };
  const meter = new FlickerMeter({ input, output });
  const bars = (level: number): Uint8Array => {
    const pixels = new Uint8Array(256 * 144 * 3).fill(level);
    pixels.fill(100, 256 * 36 * 3, 256 * 108 * 3);
    return pixels;
  };
  for (const [frameIndex, level] of [0, 200].entries())
    meter.add({ frameIndex, input: plain(10), output: bars(level), isReplaced: false });
  expect(meter.take()).toEqual({ sum: 0, points: 64 * 36 });
  expect(meter.take()).toEqual({ sum: 0, points: 0 });
});
