import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type RunPlan, afterDeath, keepOpen, nextRun, planRuns } from '../../worker/delivery/next-run.ts';

const FRAMES = Array.from({ length: 32 }, (_, index) => index);
const IN_FLIGHT = 6;

/** Simulates an engine that dies of some frames, with several in native code at once. Returns the outcome of all frames. */
function runAll(frames: readonly number[], kills: (frame: number) => boolean, carefully = false) {
  const stored = new Set<number>();
  const blamed = new Map<number, number>();
  let deaths = 0;
  let runs = 0;
  let plan: RunPlan = planRuns(frames, carefully ? frames : []);
  for (;;) {
    plan = keepOpen(plan, (frame) => !stored.has(frame) && !blamed.has(frame));
    const next = nextRun(plan);
    if (next.kind === 'done' || next.kind === 'stop') return { end: next.kind, stored, blamed, deaths, runs };
    if (next.kind === 'fail-frame') {
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
    plan = afterDeath(
      plan,
      computing.filter((frame) => !stored.has(frame)),
    );
  }
}

test('a frame that kills the engine is found with three deaths, and the other 31 are stored', () => {
  const { end, stored, blamed, deaths } = runAll(FRAMES, (frame) => frame === 17);
  expect([end, stored.size, [...blamed], deaths]).toEqual(['done', 31, [[17, 2]], 3]);
});

test('frames that were in native code when the engine died run alone, and the others run together', () => {
  let plan = planRuns(FRAMES);
  expect(nextRun(plan)).toEqual({ kind: 'together', frames: FRAMES });
  plan = afterDeath(plan, [3, 4, 5]);
  const others = FRAMES.filter((frame) => frame < 3 || frame > 5);
  expect(nextRun(plan)).toEqual({ kind: 'together', frames: others });
  plan = keepOpen(plan, (frame) => !others.includes(frame));
  expect(nextRun(plan)).toEqual({ kind: 'alone', frameIndex: 3 });
});

test('a frame that is suspect from the start runs alone, after all others', () => {
  let plan = planRuns([1, 2, 3], [1]);
  expect(nextRun(plan)).toEqual({ kind: 'together', frames: [2, 3] });
  plan = keepOpen(plan, (frame) => frame === 1);
  expect(nextRun(plan)).toEqual({ kind: 'alone', frameIndex: 1 });
});

test('a death with several frames in native code proves nothing, and two deaths with a single frame blame it', () => {
  let plan = afterDeath(afterDeath(planRuns([1, 2]), [1, 2]), [1, 2]);
  expect([...plan.deathsOf]).toEqual([]);
  plan = afterDeath(plan, [2]);
  expect([...plan.deathsOf]).toEqual([[2, 1]]);
  expect(nextRun(afterDeath(plan, [2]))).toEqual({ kind: 'fail-frame', frameIndex: 2, deaths: 2 });
});

test('three deaths without a frame in native code end the run, and no frame is blamed', () => {
  let plan = planRuns(FRAMES);
  for (const _ of [1, 2]) {
    plan = afterDeath(plan, []);
    expect(nextRun(plan).kind).toBe('together');
  }
  plan = afterDeath(plan, []);
  expect(nextRun(plan)).toEqual({ kind: 'stop' });
  expect(plan.suspects).toEqual([]);
});

test('if every frame is suspect, frames run one by one and two deaths blame a frame', () => {
  const { end, stored, blamed, deaths, runs } = runAll(FRAMES, (frame) => frame === 0, true);
  expect([end, stored.size, [...blamed], deaths, runs]).toEqual(['done', 31, [[0, 2]], 2, 33]);
});

test('a batch whose every frame kills the engine is given up after twelve deaths', () => {
  const { end, blamed, deaths } = runAll(FRAMES, () => true);
  expect(end).toBe('stop');
  expect(deaths).toBe(12);
  expect(blamed.size).toBeGreaterThan(1);
});

test('only frames that kill the engine are blamed, and all others are stored unless there are too many deaths', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 31 }), { maxLength: 5 }), fc.boolean(), (killers, carefully) => {
      const { end, stored, blamed } = runAll(FRAMES, (frame) => killers.includes(frame), carefully);
      expect([...blamed.keys()].every((frame) => killers.includes(frame))).toBe(true);
      const all = end === 'done' ? FRAMES.length : 0;
      expect(stored.size + blamed.size).toBeGreaterThanOrEqual(all);
    }),
  );
});
