/**
 * Runs the real `decide` in a hostile simulated world in virtual time, for many random episodes. To replay a failing one, set
 * `SIMULATION_SEED=… SIMULATION_EPISODES=1`. For the long form, set `SIMULATION_EPISODES=10000` or `FAULTS_FORM=long`.
 */
import { randomInt } from 'node:crypto';

import { expect, test } from 'vitest';

import { REASONS } from '../../scaler/decide/decision.ts';
import { type BadDecide, decideBadly } from '../support/decide-badly.ts';
import { inForm } from '../support/fault-form.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type Episode, runEpisode } from './simulator/episode.ts';

const EPISODES = Number(process.env['SIMULATION_EPISODES'] ?? inForm({ short: 500, long: 10_000 }));
const SEED = Number(process.env['SIMULATION_SEED'] ?? randomInt(2 ** 31));
const EPISODE_MS_MAX = 1_000;
const EPISODES_FOR_A_MISTAKE = 300;

function episodes(count: number, seed: number) {
  return Array.from({ length: count }, (_, index) => {
    return { seed: seed + index, ...runEpisode({ random: seededRandom(seed + index) }) };
  });
}

function violationsIn(run: readonly (Episode & { readonly seed: number })[]): readonly string[] {
  return run.flatMap(({ seed, violations }) =>
    violations.map(
      ({ kind, atMs, detail }) =>
        `${kind} after ${Math.round(atMs / 1000)} s: ${detail}; replay with SIMULATION_SEED=${seed} SIMULATION_EPISODES=1`,
    ),
  );
}

test(
  `in ${EPISODES} episodes no busy worker is removed, no bound is exceeded, all work finishes and the fleet goes to zero`,
  { timeout: EPISODES * EPISODE_MS_MAX },
  () => {
    const run = episodes(EPISODES, SEED);
    expect(violationsIn(run)).toEqual([]);
    expect(run.reduce((sum, { removed }) => sum + removed, 0)).toBeGreaterThan(0);
  },
);

test('a replayed episode is the same', () => {
  expect(episodes(5, 7)).toEqual(episodes(5, 7));
});

test('the episodes reach every reason of a decision', { timeout: 60_000 }, () => {
  const seen = new Set(episodes(200, 1).flatMap(({ reasons }) => [...reasons.keys()]));
  expect(REASONS.filter((reason) => !seen.has(reason))).toEqual([]);
});

test.each(Object.entries(decideBadly))(
  'the simulation detects a scaler that %s',
  { timeout: 60_000 },
  (_, bad) => {
    expect(isDetected(bad)).toBe(true);
  },
);

/** Whether one of a bounded number of episodes ends with the expected violation. */
function isDetected({ decide, violates }: BadDecide): boolean {
  for (let seed = 1; seed <= EPISODES_FOR_A_MISTAKE; seed += 1) {
    const [first] = runEpisode({ random: seededRandom(seed), decide }).violations;
    if (first?.kind === violates) return true;
  }
  return false;
}
