/** The fleet over the last hours: rates, gaps and bounds. */
import { expect, test } from 'vitest';

import { INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import { TickHistory } from '../../scaler/history.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import {
  NOW,
  buildBacklog,
  buildInstance,
  buildReport,
  buildSight,
  fleetOf,
  workersOf,
} from '../support/scaler-tick.ts';

function noted(
  seconds: number,
  fields: Partial<Observation>,
): { readonly observation: Observation; readonly memory: typeof INITIAL_MEMORY } {
  const at = new Date(NOW.getTime() + seconds * 1000);
  return { observation: buildSight({ now: at, atMs: at.getTime(), ...fields }), memory: INITIAL_MEMORY };
}

test('frames per second are those of jobs that were open before; a job that is opened again counts from then on', () => {
  const history = new TickHistory(POLICY_DEFAULTS);
  const jobs = (one: number, again?: number) => ({
    backlog: [
      buildBacklog('one', { framesDone: one, framesRemaining: 1000 - one }),
      ...(again === undefined ? [] : [buildBacklog('again', { framesDone: again, framesRemaining: 1 })]),
    ],
  });
  history.note(noted(0, jobs(0)));
  expect(history.framesPerSecond()).toBeNull();
  // Between two steps, nothing is noted.
  history.note(noted(5, jobs(500)));
  history.note(noted(10, jobs(80, 900)));
  expect(history.framesPerSecond()).toBe(8);
  history.note(noted(20, jobs(80, 950)));
  expect(history.framesPerSecond()).toBe(5);
  // A worker was killed: what it had underway is done again.
  history.note(noted(30, jobs(70, 950)));
  expect(history.of(1)).toMatchObject({
    stepSeconds: 10,
    at: [0, 10, 20, 30].map((seconds) => NOW.getTime() / 1000 + seconds),
    framesPerSecond: [null, 8, 5, 0],
    framesLeft: [1000, 921, 921, 931],
  });
});

test('machines are counted by phase, and what cannot be read is null', () => {
  const history = new TickHistory({ ...POLICY_DEFAULTS, pricePerHour: { gpu: 2 } });
  const fleet = fleetOf(
    buildInstance('busy'),
    buildInstance('idle'),
    buildInstance('drains'),
    buildInstance(null, { phase: 'creating', createdAt: NOW }),
    buildInstance('boots', { createdAt: NOW }),
    buildInstance('goes', { phase: 'deleting' }),
  );
  const workers = workersOf(
    buildReport('busy', { state: 'busy' }),
    buildReport('idle'),
    buildReport('drains', { state: 'busy' }),
  );
  history.note(noted(0, { fleet, workers, drainRequests: new Map([['drains', 'etag']]) }));
  history.note(noted(10, { fleet: null, backlog: null }));
  expect(history.of(1)).toMatchObject({
    perHour: [10, null],
    framesLeft: [0, null],
    machines: {
      working: [1, null],
      idle: [1, null],
      draining: [1, null],
      creating: [1, null],
      starting: [1, null],
      deleting: [1, null],
    },
  });
});

test('twelve hours are kept, and fewer are returned on request', () => {
  const history = new TickHistory(POLICY_DEFAULTS);
  for (let step = 0; step < 5000; step += 1) history.note(noted(step * 10, {}));
  expect(history.of(12).at).toHaveLength(4320);
  expect(history.of(1).at).toHaveLength(361);
});
