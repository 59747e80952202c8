import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { EngineWatch, percentile } from '../../worker/engine/engine-watch.ts';

const STUCK_MS = 60_000;
const LOAD_MS = 900_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watch(recentMs: number[] = []) {
  const onStuck = vi.fn<(why: string) => void>();
  const limits = { stuckMs: STUCK_MS, loadMs: LOAD_MS };
  return { watched: new EngineWatch({ clock: systemClock, limits, recentMs, onStuck }), onStuck, recentMs };
}

test('an engine is stuck when it computes a frame for 60 s, and the watch names the frame', () => {
  const { watched, onStuck } = watch();
  watched.loaded();
  watched.framesComputing([7, 8]);
  vi.advanceTimersByTime(STUCK_MS - 1);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledExactlyOnceWith('computing for 60 s without progress');
  expect(watched.computing).toEqual([7]);
});

test('a computed frame restarts the time, but a new frame does not', () => {
  const { watched, onStuck } = watch();
  watched.loaded();
  watched.framesComputing([1, 2]);
  watched.framesComputing([2, 3]);
  vi.advanceTimersByTime(1000);
  watched.framesComputed([1, 2]);
  watched.framesComputing([3, 4]);
  vi.advanceTimersByTime(STUCK_MS - 1);
  watched.framesComputing([4, 5]);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
  expect(watched.computing).toEqual([2, 3, 4]);
});

test('the bound is ten times the 95th percentile of the times that frames took', () => {
  const recentMs = Array.from({ length: 100 }, (_, index) => (index < 95 ? 20_000 : 300_000));
  const { watched, onStuck } = watch(recentMs);
  watched.loaded();
  watched.framesComputing([1, 2]);
  vi.advanceTimersByTime(199_999);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
});

test('a first micro-batch may take the bound of a frame for each of its frames, and all of them are named', () => {
  const { watched, onStuck } = watch();
  watched.loaded();
  watched.framesComputing([4, 8]);
  watched.framesComputing([8, 12]);
  vi.advanceTimersByTime(4 * STUCK_MS - 1);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
  expect(watched.computing).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
});

test('once a micro-batch has been computed, the bound of the next follows from the time of a frame', () => {
  const { watched, onStuck, recentMs } = watch();
  watched.loaded();
  watched.framesComputing([0, 4]);
  vi.advanceTimersByTime(8_000);
  watched.framesComputed([0, 4]);
  expect(recentMs).toEqual([2_000]);
  watched.framesComputing([4, 8]);
  vi.advanceTimersByTime(10 * 2_000 * 4 - 1);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
});

test('the watch keeps the times of the last 200 frames', () => {
  const { watched, recentMs } = watch();
  watched.loaded();
  for (let frame = 0; frame < 500; frame += 1) {
    watched.framesComputing([frame, frame + 1]);
    vi.advanceTimersByTime(frame);
    watched.framesComputed([frame, frame + 1]);
  }
  expect(recentMs).toHaveLength(200);
  expect(recentMs.at(-1)).toBe(499);
});

test('loading a model has its own bound, and waiting for storage has a bound beyond the longest call', () => {
  const loading = watch();
  vi.advanceTimersByTime(LOAD_MS - 1);
  expect(loading.onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(loading.onStuck).toHaveBeenCalledOnce();
  const waiting = watch();
  waiting.watched.loaded();
  vi.advanceTimersByTime(5 * STUCK_MS);
  expect(waiting.onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5 * STUCK_MS);
  expect(waiting.onStuck).toHaveBeenCalledOnce();
});

test('a disposed watch does not report a stuck engine', () => {
  const { watched, onStuck } = watch();
  watched[Symbol.dispose]();
  vi.advanceTimersByTime(10 * LOAD_MS);
  expect(onStuck).not.toHaveBeenCalled();
});

test('a percentile is the smallest value that the given share of the values does not exceed', () => {
  expect(percentile([], 0.95)).toBe(0);
  expect(percentile([5], 0.95)).toBe(5);
  expect(percentile([3, 1, 2, 4], 0.5)).toBe(2);
  expect(
    percentile(
      Array.from({ length: 100 }, (_, index) => index + 1),
      0.95,
    ),
  ).toBe(95);
});
