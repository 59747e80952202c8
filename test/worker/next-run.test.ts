import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { indicesOf } from '../../shared/contract/ranges.ts';
import { segmentsOf } from '../../shared/contract/segment.ts';
import {
  type RunPlan,
  afterDeath,
  keepOpen,
  nextRun,
  planRuns,
  withoutFrame,
} from '../../worker/delivery/next-run.ts';

const FRAMES = Array.from({ length: 32 }, (_, index) => index);
const SEGMENTS = segmentsOf([0, 32], 4);

/** Simulates an engine that dies of some frames, with up to two in native code at once. Returns the outcome of all segments. */
function runAll(kills: (frame: number) => boolean, suspects: readonly number[] = []) {
  const stored = new Set<number>();
  const givenUp = new Map<number, number>();
  let deaths = 0;
  let runs = 0;
  let plan: RunPlan = planRuns(SEGMENTS, suspects);
  for (;;) {
    plan = keepOpen(plan, ([start]) => !stored.has(start));
    const next = nextRun(plan);
    if (next.kind === 'done' || next.kind === 'stop')
      return { end: next.kind, stored, givenUp, deaths, runs };
    if (next.kind === 'fail-frame') {
      givenUp.set(next.frameIndex, next.deaths);
      plan = withoutFrame(plan, next.frameIndex);
      continue;
    }
    runs += 1;
    const { segments, careful } = next;
    const tried = [...indicesOf(segments)].filter((frame) => !givenUp.has(frame));
    const fatal = tried.findIndex(kills);
    const runsAlone = [tried[fatal - 1], tried[fatal]].some((frame) => careful.includes(frame ?? -1));
    const computing = fatal === -1 ? [] : tried.slice(Math.max(0, runsAlone ? fatal : fatal - 1), fatal + 1);
    const scoredUntil = computing[0] ?? FRAMES.length;
    for (const [start, end] of segments) if (end <= scoredUntil) stored.add(start);
    if (fatal === -1) continue;
    deaths += 1;
    plan = afterDeath(plan, computing);
  }
}

test('a frame that kills the engine is found with three deaths, and every segment is stored', () => {
  const { end, stored, givenUp, deaths } = runAll((frame) => frame === 17);
  expect([end, stored.size, [...givenUp], deaths]).toEqual(['done', 8, [[17, 2]], 3]);
});

test('with a model that has a state, all open segments run together, suspects alone', () => {
  let plan = planRuns(SEGMENTS, [], { isInOrder: true });
  plan = afterDeath(plan, [3, 4]);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS, careful: [3, 4] });
  plan = keepOpen(plan, ([start]) => start >= 4);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS.slice(1), careful: [4] });
});

test('frames that were in native code when the engine died run alone, after all segments without them', () => {
  let plan = planRuns(SEGMENTS);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS, careful: [] });
  plan = afterDeath(plan, [3, 4]);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS.slice(2), careful: [] });
  plan = keepOpen(plan, ([start]) => start < 8);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS.slice(0, 2), careful: [3, 4] });
  plan = keepOpen(plan, ([start]) => start === 4);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: [[4, 8]], careful: [4] });
});

test('a frame that is suspect from the start runs alone, after all segments without one', () => {
  let plan = planRuns(SEGMENTS, [1]);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: SEGMENTS.slice(1), careful: [] });
  plan = keepOpen(plan, ([start]) => start === 0);
  expect(nextRun(plan)).toEqual({ kind: 'run', segments: [[0, 4]], careful: [1] });
});

test('a death with several frames in native code proves nothing, and two deaths with a single frame blame it', () => {
  let plan = afterDeath(afterDeath(planRuns([[1, 3]]), [1, 2]), [1, 2]);
  expect([...plan.deathsOf]).toEqual([]);
  plan = afterDeath(plan, [2]);
  expect([...plan.deathsOf]).toEqual([[2, 1]]);
  plan = afterDeath(plan, [2]);
  expect(nextRun(plan)).toEqual({ kind: 'fail-frame', frameIndex: 2, deaths: 2 });
  expect(nextRun(withoutFrame(plan, 2))).toEqual({ kind: 'run', segments: [[1, 3]], careful: [1] });
});

test('three deaths without a frame in native code end the run, and no frame is blamed', () => {
  let plan = planRuns(SEGMENTS);
  for (const _ of [1, 2]) {
    plan = afterDeath(plan, []);
    expect(nextRun(plan)).toMatchObject({ kind: 'run', careful: [] });
  }
  plan = afterDeath(plan, []);
  expect(nextRun(plan)).toEqual({ kind: 'stop' });
  expect(plan.suspects).toEqual([]);
});

test('if every frame is suspect, every frame runs alone and two deaths blame a frame', () => {
  expect(nextRun(planRuns(SEGMENTS, FRAMES))).toEqual({ kind: 'run', segments: SEGMENTS, careful: FRAMES });
  const { end, stored, givenUp, deaths, runs } = runAll((frame) => frame === 0, FRAMES);
  expect([end, stored.size, [...givenUp], deaths, runs]).toEqual(['done', 8, [[0, 2]], 2, 3]);
});

test('a batch whose every frame kills the engine is given up after twelve deaths', () => {
  const { end, givenUp, deaths } = runAll(() => true);
  expect(end).toBe('stop');
  expect(deaths).toBe(12);
  expect(givenUp.size).toBeGreaterThan(1);
});

test('only frames that kill the engine are blamed, and all segments are stored unless there are too many deaths', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 31 }), { maxLength: 5 }), fc.boolean(), (killers, carefully) => {
      const { end, stored, givenUp } = runAll((frame) => killers.includes(frame), carefully ? FRAMES : []);
      const blamed = [...givenUp.keys()];
      expect(blamed.filter((frame) => !killers.includes(frame))).toEqual([]);
      if (end !== 'done') return;
      expect(stored.size).toBe(SEGMENTS.length);
      expect(blamed).toHaveLength(killers.length);
    }),
  );
});
