import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type Pursuit, afterDeath, beginPursuit, nextRun, resolve } from '../../worker/delivery/next-run.ts';

const FRAMES = Array.from({ length: 32 }, (_, index) => index);
const IN_FLIGHT = 6;

/** An engine that dies of some frames, the native code working on a few at once; returns what became of all. */
function pursue(frames: readonly number[], kills: (frame: number) => boolean, carefully = false) {
  const stored = new Set<number>();
  const blamed = new Map<number, number>();
  let deaths = 0;
  let runs = 0;
  let pursuit: Pursuit = beginPursuit(frames, carefully ? frames : []);
  for (;;) {
    pursuit = resolve(pursuit, (frame) => !stored.has(frame) && !blamed.has(frame));
    const next = nextRun(pursuit);
    if (next.kind === 'done' || next.kind === 'give-up')
      return { end: next.kind, stored, blamed, deaths, runs };
    if (next.kind === 'blame') {
      blamed.set(next.frameIndex, next.deaths);
      continue;
    }
    runs += 1;
    const tried = next.kind === 'alone' ? [next.frameIndex] : next.frames;
    const fatal = tried.findIndex(kills);
    for (const frame of fatal === -1 ? tried : tried.slice(0, Math.max(0, fatal - 1))) stored.add(frame);
    if (fatal === -1) continue;
    deaths += 1;
    const computing = tried.slice(Math.max(0, fatal - 1), fatal - 1 + IN_FLIGHT);
    pursuit = afterDeath(
      pursuit,
      computing.filter((frame) => !stored.has(frame)),
    );
  }
}

test('a frame that kills the engine is found with three deaths, and the other 31 are stored', () => {
  const { end, stored, blamed, deaths } = pursue(FRAMES, (frame) => frame === 17);
  expect([end, stored.size, [...blamed], deaths]).toEqual(['done', 31, [[17, 2]], 3]);
});

test('frames that were in the engine with it are tried alone, the others together', () => {
  let pursuit = beginPursuit(FRAMES);
  expect(nextRun(pursuit)).toEqual({ kind: 'together', frames: FRAMES });
  pursuit = afterDeath(pursuit, [3, 4, 5]);
  const others = FRAMES.filter((frame) => frame < 3 || frame > 5);
  expect(nextRun(pursuit)).toEqual({ kind: 'together', frames: others });
  pursuit = resolve(pursuit, (frame) => !others.includes(frame));
  expect(nextRun(pursuit)).toEqual({ kind: 'alone', frameIndex: 3 });
});

test('a frame that somebody died of before is tried alone, when all others are done', () => {
  let pursuit = beginPursuit([1, 2, 3], [1]);
  expect(nextRun(pursuit)).toEqual({ kind: 'together', frames: [2, 3] });
  pursuit = resolve(pursuit, (frame) => frame === 1);
  expect(nextRun(pursuit)).toEqual({ kind: 'alone', frameIndex: 1 });
});

test('an engine that died with several frames in it is no proof against any; with one, it is half', () => {
  let pursuit = afterDeath(afterDeath(beginPursuit([1, 2]), [1, 2]), [1, 2]);
  expect([...pursuit.deathsOf]).toEqual([]);
  pursuit = afterDeath(pursuit, [2]);
  expect([...pursuit.deathsOf]).toEqual([[2, 1]]);
  expect(nextRun(afterDeath(pursuit, [2]))).toEqual({ kind: 'blame', frameIndex: 2, deaths: 2 });
});

test('an engine that dies without computing anything is given up after three times, and no frame is blamed', () => {
  let pursuit = beginPursuit(FRAMES);
  for (const _ of [1, 2]) {
    pursuit = afterDeath(pursuit, []);
    expect(nextRun(pursuit).kind).toBe('together');
  }
  pursuit = afterDeath(pursuit, []);
  expect(nextRun(pursuit)).toEqual({ kind: 'give-up' });
  expect(pursuit.suspects).toEqual([]);
});

test('carefully means one by one from the start, and two deaths are enough', () => {
  const { end, stored, blamed, deaths, runs } = pursue(FRAMES, (frame) => frame === 0, true);
  expect([end, stored.size, [...blamed], deaths, runs]).toEqual(['done', 31, [[0, 2]], 2, 33]);
});

test('a batch that does nothing but kill is handed on after a bounded number of deaths', () => {
  const { end, blamed, deaths } = pursue(FRAMES, () => true);
  expect(end).toBe('give-up');
  expect(deaths).toBe(12);
  expect(blamed.size).toBeGreaterThan(1);
});

test('whatever kills, only what kills is blamed, and everything else is stored unless the deaths are too many', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 31 }), { maxLength: 5 }), fc.boolean(), (killers, carefully) => {
      const { end, stored, blamed } = pursue(FRAMES, (frame) => killers.includes(frame), carefully);
      expect([...blamed.keys()].every((frame) => killers.includes(frame))).toBe(true);
      const all = end === 'done' ? FRAMES.length : 0;
      expect(stored.size + blamed.size).toBeGreaterThanOrEqual(all);
    }),
  );
});
