/** The last check before a removal. */
import { describe, expect, test } from 'vitest';

import { confirmRemoval } from '../../scaler/act/confirm-removal.ts';
import type { RemovalBasis } from '../../scaler/decide/decision.ts';
import type { WorkerReport } from '../../scaler/observe/observation.ts';
import type { WorkerState } from '../../shared/contract/heartbeat.ts';
import { buildInstance, buildReport, buildSight, fleetOf, workersOf } from '../support/scaler-tick.ts';

const DRAINED = { state: 'drained', drainEtag: 'e1' } as const;
const REQUESTS = new Map([['vm-1', 'e1']]);

/** Whether vm-1 may be removed if `before` was observed for the decision and `now` is observed just before the removal. */
function isConfirmed(
  basis: RemovalBasis,
  {
    before,
    now,
    requests = REQUESTS,
  }: {
    readonly before: readonly WorkerReport[];
    readonly now: readonly WorkerReport[];
    readonly requests?: ReadonlyMap<string, string>;
  },
): boolean {
  const sight = buildSight({ fleet: fleetOf(buildInstance('vm-1')), workers: workersOf(...before) });
  const named = { pool: 'gpu', instanceIds: ['vm-1'], basis };
  return confirmRemoval(named, sight, { workers: workersOf(...now), drainRequests: requests }).length === 1;
}

describe('an instance that has drained', () => {
  const before = [buildReport('vm-1', DRAINED)];

  test('is removed while it still quotes the drain request', () => {
    expect(isConfirmed('drained', { before, now: before })).toBe(true);
    expect(
      isConfirmed('drained', { before, now: [buildReport('vm-1', { ...DRAINED, sequence: 101 })] }),
    ).toBe(true);
  });

  test('stays when the request was withdrawn or renewed', () => {
    expect(isConfirmed('drained', { before, now: before, requests: new Map() })).toBe(false);
    expect(isConfirmed('drained', { before, now: before, requests: new Map([['vm-1', 'e2']]) })).toBe(false);
  });

  test.each<WorkerState>(['booting', 'idle', 'busy', 'draining'])('stays when it reports %s now', (state) => {
    const now = [buildReport('vm-1', { state, drainEtag: 'e1', sequence: 101 })];
    expect(isConfirmed('drained', { before, now })).toBe(false);
  });

  test('stays when its heartbeat is missing', () => {
    expect(isConfirmed('drained', { before, now: [] })).toBe(false);
  });

  test('stays when another worker on the instance sends a heartbeat', () => {
    const second = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy' });
    expect(isConfirmed('drained', { before, now: [...before, second] })).toBe(false);
  });

  test('is removed despite another worker that was silent at the decision and still is', () => {
    const silent = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy', sequence: 7 });
    expect(isConfirmed('drained', { before: [...before, silent], now: [...before, silent] })).toBe(true);
    const woken = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy', sequence: 8 });
    expect(isConfirmed('drained', { before: [...before, silent], now: [...before, woken] })).toBe(false);
  });
});

describe('a silent instance', () => {
  test('is removed while it sends no heartbeat', () => {
    const before = [buildReport('vm-1', { state: 'busy', sequence: 7 })];
    expect(isConfirmed('unresponsive', { before, now: before })).toBe(true);
    expect(isConfirmed('unresponsive', { before: [], now: [] })).toBe(true);
  });

  test('stays when it has sent a heartbeat since the decision', () => {
    const before = [buildReport('vm-1', { state: 'busy', sequence: 7 })];
    expect(
      isConfirmed('unresponsive', { before, now: [buildReport('vm-1', { state: 'busy', sequence: 8 })] }),
    ).toBe(false);
    expect(
      isConfirmed('unresponsive', { before: [], now: [buildReport('vm-1', { state: 'idle', sequence: 1 })] }),
    ).toBe(false);
  });

  test('is removed while it only reports booting, because it has never held a batch', () => {
    const now = [buildReport('vm-1', { state: 'booting', sequence: 9 })];
    expect(isConfirmed('unresponsive', { before: [], now })).toBe(true);
  });
});

test('an instance that was not running stays when it has sent a heartbeat since the decision', () => {
  expect(isConfirmed('not-running', { before: [], now: [] })).toBe(true);
  expect(isConfirmed('not-running', { before: [], now: [buildReport('vm-1', { sequence: 1 })] })).toBe(false);
});

test('only named instances of the pool are removed, and none if the fleet was not read', () => {
  const instances = [
    buildInstance('vm-1', { instanceId: '0' }),
    buildInstance('vm-2', { instanceId: '1' }),
    buildInstance('vm-3', { instanceId: '0', pool: 'other' }),
    buildInstance(null, { instanceId: '2', phase: 'failed' }),
  ];
  const last = { workers: workersOf(), drainRequests: new Map<string, string>() };
  const named = { pool: 'gpu', instanceIds: ['0', '2', '9'], basis: 'not-running' } as const;
  const sight = buildSight({ fleet: fleetOf(...instances) });
  expect(confirmRemoval(named, sight, last).map(({ instanceId, vmId }) => [instanceId, vmId])).toEqual([
    ['0', 'vm-1'],
    ['2', null],
  ]);
  expect(confirmRemoval(named, buildSight({ fleet: null }), last)).toEqual([]);
});
