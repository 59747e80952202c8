import { describe, expect, test } from 'vitest';

import { confirmRemoval } from '../../scaler/act/confirm-removal.ts';
import type { RemovalBasis } from '../../scaler/decide/decision.ts';
import type { WorkerReport } from '../../scaler/observe/observation.ts';
import type { WorkerState } from '../../shared/contract/heartbeat.ts';
import { buildInstance, buildReport, buildSight, fleetOf, workersOf } from '../support/scaler-tick.ts';

const CONSENT = { state: 'drained', drainEtag: 'e1' } as const;
const REQUESTS = new Map([['vm-1', 'e1']]);

/** Whether vm-1 may still go, after `before` was seen, decided upon, and `now` is seen. */
function mayGo(
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

describe('who has consented', () => {
  const before = [buildReport('vm-1', CONSENT)];

  test('may go while it stands by it', () => {
    expect(mayGo('consent', { before, now: before })).toBe(true);
    expect(mayGo('consent', { before, now: [buildReport('vm-1', { ...CONSENT, sequence: 101 })] })).toBe(
      true,
    );
  });

  test('stays when the request has been taken back, or made again', () => {
    expect(mayGo('consent', { before, now: before, requests: new Map() })).toBe(false);
    expect(mayGo('consent', { before, now: before, requests: new Map([['vm-1', 'e2']]) })).toBe(false);
  });

  test.each<WorkerState>(['booting', 'idle', 'busy', 'draining'])('stays when it says %s now', (state) => {
    const now = [buildReport('vm-1', { state, drainEtag: 'e1', sequence: 101 })];
    expect(mayGo('consent', { before, now })).toBe(false);
  });

  test('stays when its heartbeat has gone', () => {
    expect(mayGo('consent', { before, now: [] })).toBe(false);
  });

  test('stays when another worker of the machine speaks up', () => {
    const second = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy' });
    expect(mayGo('consent', { before, now: [...before, second] })).toBe(false);
  });

  test('may go in spite of another that was silent when it was decided, and is still', () => {
    const silent = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy', sequence: 7 });
    expect(mayGo('consent', { before: [...before, silent], now: [...before, silent] })).toBe(true);
    const woken = buildReport('vm-1', { workerId: 'vm-1-1', state: 'busy', sequence: 8 });
    expect(mayGo('consent', { before: [...before, silent], now: [...before, woken] })).toBe(false);
  });
});

describe('who was silent', () => {
  test('may go while it says nothing', () => {
    const before = [buildReport('vm-1', { state: 'busy', sequence: 7 })];
    expect(mayGo('silence', { before, now: before })).toBe(true);
    expect(mayGo('silence', { before: [], now: [] })).toBe(true);
  });

  test('stays when it has said anything since', () => {
    const before = [buildReport('vm-1', { state: 'busy', sequence: 7 })];
    expect(mayGo('silence', { before, now: [buildReport('vm-1', { state: 'busy', sequence: 8 })] })).toBe(
      false,
    );
    expect(mayGo('silence', { before: [], now: [buildReport('vm-1', { state: 'idle', sequence: 1 })] })).toBe(
      false,
    );
  });

  test('may go while all it says is that it boots: it has never held a batch', () => {
    const now = [buildReport('vm-1', { state: 'booting', sequence: 9 })];
    expect(mayGo('silence', { before: [], now })).toBe(true);
  });
});

test('who was not running stays when a word has come from it since', () => {
  expect(mayGo('not-running', { before: [], now: [] })).toBe(true);
  expect(mayGo('not-running', { before: [], now: [buildReport('vm-1', { sequence: 1 })] })).toBe(false);
});

test('only who was named goes, by its own pool and id, and never of a fleet that was not seen', () => {
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
