import { expect, test } from 'vitest';

import { FramePool, areNeighbours, spanOf } from '../../worker/engine/frame-pool.ts';

test('buffers come in turn: each is the neighbour of the one before, except where the block starts again', async () => {
  const pool = new FramePool({ buffers: 3, bytesPerBuffer: 5 });
  const taken = [await pool.take()];
  for (let count = 1; count < 7; count += 1) {
    const next = await pool.take();
    const last = taken.at(-1) ?? next;
    expect(areNeighbours(last, next)).toBe(count % 3 !== 0);
    pool.giveBack(last);
    taken.push(next);
  }
});

test('a waiting stage gets the buffer that is given back', async () => {
  const pool = new FramePool({ buffers: 1, bytesPerBuffer: 5 });
  const first = await pool.take();
  const second = pool.take();
  pool.giveBack(first);
  expect(await second).toBe(first);
});

test('the span of neighbours is one buffer with the bytes of all', async () => {
  const pool = new FramePool({ buffers: 3, bytesPerBuffer: 2 });
  const [a, b, c] = [await pool.take(), await pool.take(), await pool.take()];
  a.fill(1);
  b.fill(2);
  c.fill(3);
  expect([...spanOf([b, c])]).toEqual([2, 2, 3, 3]);
  spanOf([a, b]).fill(7);
  expect([...a, ...b, ...c]).toEqual([7, 7, 7, 7, 3, 3]);
});

test('a closed pool rejects every take, waiting or new', async () => {
  const pool = new FramePool({ buffers: 0, bytesPerBuffer: 1 });
  const waiting = pool.take();
  pool.close();
  await expect(waiting).rejects.toThrow('closed');
  await expect(pool.take()).rejects.toThrow('closed');
});
