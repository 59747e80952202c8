import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type TiledFrame, type Tiling, readTile, tilingOf, writeTile } from '../../worker/engine/tiles.ts';

const INPUT = {
  name: 'frames',
  type: 'uint8',
  layout: 'NHWC',
  channels: 'rgb',
  size: 'any',
  fit: 'stretch',
  batch: 'any',
} as const;
const tiling = (
  frame: { width: number; height: number },
  tile: { width: number; height: number; overlap: number },
) => tilingOf({ ...INPUT, tile }, frame);

const sizes = fc.record({
  width: fc.integer({ min: 1, max: 300 }),
  height: fc.integer({ min: 1, max: 300 }),
  tile: fc.integer({ min: 9, max: 64 }),
  overlap: fc.integer({ min: 0, max: 4 }),
});

test('a frame that is not larger than a tile is scored as a whole', () => {
  expect(tiling({ width: 64, height: 40 }, { width: 64, height: 64, overlap: 8 })).toBeUndefined();
  expect(tilingOf(INPUT, { width: 7680, height: 4320 })).toBeUndefined();
});

test('the kept parts cover each side once, and each has its overlap inside the tile', () => {
  fc.assert(
    fc.property(sizes, ({ width, height, tile, overlap }) => {
      const found = tiling({ width, height }, { width: tile, height: tile, overlap });
      for (const [spans, length, side] of [
        [found?.columns ?? [], width, found?.tile.width ?? 0],
        [found?.rows ?? [], height, found?.tile.height ?? 0],
      ] as const) {
        let covered = 0;
        for (const { start, from, to } of spans) {
          expect(from).toBe(covered);
          expect(to).toBeGreaterThan(from);
          expect(start).toBeGreaterThanOrEqual(0);
          expect(start + side).toBeLessThanOrEqual(length);
          expect(from === 0 ? overlap : from - start).toBeGreaterThanOrEqual(overlap);
          expect(to === length ? overlap : start + side - to).toBeGreaterThanOrEqual(overlap);
          covered = to;
        }
        expect(spans.length === 0 || covered === length).toBe(true);
      }
    }),
  );
});

test('no tile is more than needed', () => {
  const found = tiling({ width: 7680, height: 4320 }, { width: 1024, height: 1024, overlap: 32 });
  expect([found?.columns.length, found?.rows.length]).toEqual([8, 5]);
});

describe('a model of which a pixel depends on its neighbours', () => {
  function frameOf(width: number, height: number, pixel: (index: number) => number): TiledFrame {
    return {
      size: { width, height },
      pixels: Uint8Array.from({ length: width * height * 3 }, (_, index) => pixel(index)),
    };
  }

  /** The mean of the pixels up to `reach` away, enlarged. */
  function blurred(
    { size: { width, height }, pixels }: TiledFrame,
    reach: number,
    scale: number,
  ): TiledFrame {
    const at = (x: number, y: number, channel: number): number => {
      let [sum, count] = [0, 0];
      for (let dy = -reach; dy <= reach; dy += 1)
        for (let dx = -reach; dx <= reach; dx += 1) {
          const [near, below] = [x + dx, y + dy];
          if (near < 0 || near >= width || below < 0 || below >= height) continue;
          sum += pixels[(below * width + near) * 3 + channel] ?? 0;
          count += 1;
        }
      return Math.round(sum / count);
    };
    return frameOf(width * scale, height * scale, (index) => {
      const [pixel, channel] = [Math.floor(index / 3), index % 3];
      const [x, y] = [pixel % (width * scale), Math.floor(pixel / (width * scale))];
      return at(Math.floor(x / scale), Math.floor(y / scale), channel);
    });
  }

  function inTiles(
    frame: TiledFrame,
    { tile, columns, rows }: Tiling,
    reach: number,
    scale: number,
  ): TiledFrame {
    const result = frameOf(frame.size.width * scale, frame.size.height * scale, () => 0);
    const part = frameOf(tile.width, tile.height, () => 0);
    for (const row of rows)
      for (const column of columns) {
        readTile(frame, { x: column.start, y: row.start }, part);
        writeTile(result, { column, row, scale }, blurred(part, reach, scale));
      }
    return result;
  }

  test.each([
    { width: 61, height: 37, tile: 16, overlap: 2, scale: 1 },
    { width: 61, height: 37, tile: 24, overlap: 5, scale: 2 },
    { width: 200, height: 10, tile: 32, overlap: 3, scale: 1 },
  ])(
    'gives the same picture in tiles as for the whole frame: %j',
    ({ width, height, tile, overlap, scale }) => {
      const frame = frameOf(width, height, (index) => (index * 7919) % 256);
      const found = tiling({ width, height }, { width: tile, height: tile, overlap });
      expect(found).toBeDefined();
      const whole = blurred(frame, overlap, scale);
      expect(found && inTiles(frame, found, overlap, scale)).toEqual(whole);
      // With a smaller overlap than the model needs, there are seams: the test could not fail otherwise.
      const tight = tiling({ width, height }, { width: tile, height: tile, overlap: 0 });
      expect(tight && inTiles(frame, tight, overlap, scale)).not.toEqual(whole);
    },
  );
});
