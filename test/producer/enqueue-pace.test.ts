import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  NO_PACE,
  type Pace,
  framesPerSecond,
  nextPace,
  secondsLeft,
} from '../../producer/cli/enqueue/pace.ts';
import { clockTime } from '../../shared/command/text.ts';

/** The pace after statuses of `[seconds, frames done]`. */
function paceOf(seen: readonly (readonly [number, number])[], before = NO_PACE): Pace {
  return seen.reduce((pace, [seconds, scored]) => {
    const frames = { expected: 1000, split: 1000, scored, failed: 0, underway: 0, stitched: 0 };
    return nextPace(pace, { frames }, seconds * 1000);
  }, before);
}

/** A status every second, from engines that finish `batch` frames every `everySeconds`. */
function statusesOf(batch: number, everySeconds: number, untilSeconds: number) {
  return Array.from(
    { length: untilSeconds + 1 },
    (_, second) => [second, batch * Math.floor(second / everySeconds)] as const,
  );
}

test('the rate and the time left are unknown until a frame is done', () => {
  for (const pace of [
    NO_PACE,
    paceOf([[0, 0]]),
    paceOf([
      [0, 0],
      [5, 0],
    ]),
  ]) {
    expect(framesPerSecond(pace)).toBeNull();
    expect(secondsLeft(pace, 1000)).toBeNull();
  }
});

test('a constant rate is measured exactly, whatever the batch size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 1, max: 50 }), (batch, everySeconds) => {
      const pace = paceOf(statusesOf(batch, everySeconds, 300));
      expect(framesPerSecond(pace)).toBeCloseTo(batch / everySeconds, 6);
    }),
  );
});

test('the rate follows a fleet that scales out within two minutes', () => {
  const slow = paceOf(statusesOf(10, 1, 600));
  const faster = Array.from({ length: 121 }, (_, second) => [600 + second, 6000 + 40 * second] as const);
  expect(framesPerSecond(slow)).toBeCloseTo(10, 6);
  expect(framesPerSecond(paceOf(faster, slow))).toBeCloseTo(40, 6);
});

test('the time left is the remaining frames at the measured rate, and never negative', () => {
  const pace = paceOf([
    [100, 0],
    [110, 50],
    [120, 100],
  ]);
  expect(secondsLeft(pace, 1000)).toBeCloseTo(180, 6);
  expect(secondsLeft(pace, 100)).toBe(0);
  expect(
    secondsLeft(
      paceOf([
        [0, 0],
        [100, 10],
      ]),
      1000,
    ),
  ).toBeCloseTo(9900, 6);
  expect(secondsLeft(pace, 90)).toBe(0);
});

test('a failed frame counts as done', () => {
  const frames = { expected: 1000, split: 1000, scored: 15, failed: 5, underway: 0, stitched: 0 };
  const pace = nextPace(paceOf([[0, 0]]), { frames }, 10_000);
  expect(framesPerSecond(pace)).toBeCloseTo(2, 6);
});

test('the time left is unknown when the number of done frames falls, because the ledger was rebuilt', () => {
  expect(
    secondsLeft(
      paceOf([
        [0, 0],
        [10, 500],
        [20, 100],
        [30, 0],
      ]),
      1000,
    ),
  ).toBeNull();
});

test('the number of samples does not grow with the job', () => {
  const pace = paceOf(statusesOf(1, 1, 5000));
  expect(pace.length).toBeLessThan(100);
});

test.each([
  [0, '0:00'],
  [5.4, '0:05'],
  [59.6, '1:00'],
  [65, '1:05'],
  [3599.4, '59:59'],
  [3599.6, '1:00:00'],
  [7800, '2:10:00'],
  [360_000, '100:00:00'],
])('clockTime prints %d seconds as %s', (seconds, expected) => {
  expect(clockTime(seconds)).toBe(expected);
});
