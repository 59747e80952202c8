import { expect, test } from 'vitest';

import { activityOf } from '../../scaler/costs/activity.ts';
import type { WorkerState } from '../../shared/contract/heartbeat.ts';
import { NOW, buildBeat, buildInstance } from '../support/scaler-tick.ts';

const reports = (...states: readonly WorkerState[]) =>
  new Map([['vm-a', states.map((state) => ({ beat: buildBeat('vm-a', { state }), writtenAt: NOW }))]]);
const running = { ...buildInstance('a'), vmId: 'vm-a' };

test.each<[string, ReturnType<typeof reports> | null, string]>([
  ['without a heartbeat', new Map(), 'boot'],
  ['whose worker boots', reports('booting'), 'boot'],
  ['one of whose workers boots', reports('booting', 'idle'), 'idle'],
  ['with a batch', reports('busy'), 'work'],
  ['one of whose workers has a batch', reports('idle', 'busy'), 'work'],
  ['without a batch', reports('idle'), 'idle'],
  ['that drains', reports('draining'), 'idle'],
  ['that has drained', reports('drained'), 'idle'],
  ['whose heartbeats cannot be read', null, 'work'],
])('an instance %s', (_, workers, activity) => {
  expect(activityOf(running, { workers })).toBe(activity);
});

test('an instance that the cloud creates boots, whatever an instance of the same id said', () => {
  expect(activityOf({ ...running, phase: 'creating' }, { workers: reports('busy') })).toBe('boot');
});
