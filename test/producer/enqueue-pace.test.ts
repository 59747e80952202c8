import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  NO_PACE,
  type Pace,
  clockTime,
  framesPerSecond,
  nextPace,
  secondsLeft,
} from '../../producer/cli/enqueue/pace.ts';

/** The pace after statuses of `[seconds, frames done]`. */
function paceOf(seen: readonly (readonly [number, number])[], before = NO_PACE): Pace {
  return seen.reduce((pace, [seconds, scored]) => {
    const frames = { expected: 1000, split: 1000, scored, failed: 0, stitched: 0 };
    return nextPace(pace, { frames }, seconds * 1000);
  }, before);
}

/** What a status every second tells of engines that finish a batch of so many frames every so many seconds. */
function statusesOf({
  batch,
  everySeconds,
  untilSeconds,
}: {
  batch: number;
  everySeconds: number;
  untilSeconds: number;
}) {
  return Array.from(
    { length: untilSeconds + 1 },
    (_, second) => [second, batch * Math.floor(second / everySeconds)] as const,
  );
}

test('nothing is said of the pace until a frame is done', () => {
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

test('a constant rate is told as it is, however large the batches are that it comes in', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 1, max: 50 }), (batch, everySeconds) => {
      const pace = paceOf(statusesOf({ batch, everySeconds, untilSeconds: 300 }));
      expect(framesPerSecond(pace)).toBeCloseTo(batch / everySeconds, 6);
    }),
  );
});

test('a fleet that grows is believed within a minute or two', () => {
  const slow = paceOf(statusesOf({ batch: 10, everySeconds: 1, untilSeconds: 600 }));
  const faster = Array.from({ length: 121 }, (_, second) => [600 + second, 6000 + 40 * second] as const);
  expect(framesPerSecond(slow)).toBeCloseTo(10, 6);
  expect(framesPerSecond(paceOf(faster, slow))).toBeCloseTo(40, 6);
});

test('the time left is what is left at the pace, and never below nothing', () => {
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

test('a frame that failed is done, too', () => {
  const frames = { expected: 1000, split: 1000, scored: 15, failed: 5, stitched: 0 };
  const pace = nextPace(paceOf([[0, 0]]), { frames }, 10_000);
  expect(framesPerSecond(pace)).toBeCloseTo(2, 6);
});

test('frames that are seen undone, since the ledger was rebuilt, promise no time', () => {
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

test('what is remembered does not grow with the job', () => {
  const pace = paceOf(statusesOf({ batch: 1, everySeconds: 1, untilSeconds: 5000 }));
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
])('%d seconds are %s', (seconds, expected) => {
  expect(clockTime(seconds)).toBe(expected);
});
