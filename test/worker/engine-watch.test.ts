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
  watched.frameComputing(7);
  vi.advanceTimersByTime(STUCK_MS - 1);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledExactlyOnceWith('computing for 60 s without progress');
  expect(watched.computing).toEqual([7]);
});

test('a computed frame restarts the time, but a new frame does not', () => {
  const { watched, onStuck } = watch();
  watched.loaded();
  watched.frameComputing(1);
  watched.frameComputing(2);
  vi.advanceTimersByTime(1000);
  watched.frameComputed(1);
  watched.frameComputing(3);
  vi.advanceTimersByTime(STUCK_MS - 1);
  watched.frameComputing(4);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
  expect(watched.computing).toEqual([2, 3, 4]);
});

test('the bound is ten times the 95th percentile of the times that frames took', () => {
  const recentMs = Array.from({ length: 100 }, (_, index) => (index < 95 ? 20_000 : 300_000));
  const { watched, onStuck } = watch(recentMs);
  watched.loaded();
  watched.frameComputing(1);
  vi.advanceTimersByTime(199_999);
  expect(onStuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onStuck).toHaveBeenCalledOnce();
});

test('the watch keeps the times of the last 200 frames', () => {
  const { watched, recentMs } = watch();
  watched.loaded();
  for (let frame = 0; frame < 500; frame += 1) {
    watched.frameComputing(frame);
    vi.advanceTimersByTime(frame);
    watched.frameComputed(frame);
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
