/**
 * An adversary chooses what the scaler observes, in order to have a busy worker removed: every situation in which other scalers are known
 * to have killed a job, and some more. Each is a sequence of observations by one scaler. `vm-0` must survive them all.
 */
import { expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import {
  type SeenInstance,
  buildJob,
  buildObservation,
  buildOverride,
  later,
} from '../support/build-observation.ts';

const IDLE_LONG: SeenInstance = { says: 'idle', sinceMs: 3_600_000 };
const BUSY: SeenInstance = { says: 'busy' };
const asked = (etag: string): Partial<Observation> => ({ drainRequests: new Map([['vm-0', etag]]) });
const HOUR_MS = 3_600_000;

/** The same fleet later, without any new heartbeat. */
function silentFor(seen: Observation, byMs: number): Observation {
  return { ...later(seen, byMs), workers: seen.workers };
}

const SITUATIONS: readonly (readonly [string, readonly Observation[]])[] = [
  [
    'it is idle for an hour and takes a batch at the moment it is asked to drain',
    [buildObservation([IDLE_LONG]), buildObservation([IDLE_LONG]), buildObservation([BUSY], asked('"1"'))],
  ],
  [
    'it drained for an earlier request and its instance restarted',
    [buildObservation([{ says: 'drained', quotes: '"1"' }], asked('"2"'))],
  ],
  [
    'it quotes the request but still holds its batch',
    [buildObservation([{ says: 'draining', quotes: '"1"' }], asked('"1"'))],
  ],
  [
    'it quotes the request but is idle, not drained',
    [buildObservation([{ ...IDLE_LONG, quotes: '"1"' }], asked('"1"'))],
  ],
  ['it drained for an eviction notice, without a request', [buildObservation([{ says: 'drained' }])]],
  [
    'the request that it answered was withdrawn',
    [
      buildObservation([{ says: 'drained', quotes: '"1"' }], asked('"1"')),
      buildObservation([{ says: 'drained', quotes: '"1"' }]),
    ].slice(1),
  ],
  [
    'it has a request and heartbeats cannot be read',
    [buildObservation([BUSY], { ...asked('"1"'), workers: null })],
  ],
  [
    'it has drained and drain requests cannot be read',
    [buildObservation([{ says: 'drained', quotes: '"1"' }], { drainRequests: null })],
  ],
  [
    'all heartbeats are missing',
    [buildObservation([{ ...BUSY, says: 'none' }, BUSY], { workers: new Map() })],
  ],
  [
    'the cloud reports it as stopped but it sends heartbeats',
    [buildObservation([{ ...BUSY, phase: 'stopped' }])],
  ],
  [
    'the cloud reports it as failed but it sends heartbeats',
    [buildObservation([{ ...BUSY, phase: 'failed' }])],
  ],
  [
    'the cloud reports it as failed before its first heartbeat',
    [buildObservation([{ says: 'none', phase: 'failed', ageMs: 60_000 }, BUSY])],
  ],
  [
    'the cloud reports it as still being created',
    [buildObservation([{ ...BUSY, phase: 'creating', ageMs: HOUR_MS }])],
  ],
  [
    'it has been silent for less than the longest lease',
    [buildObservation([{ ...BUSY, heardMs: 299_000 }, BUSY], asked('"1"'))],
  ],
  [
    'it has been silent for an hour, but its request was written a moment ago',
    [buildObservation([{ ...BUSY, heardMs: HOUR_MS }, BUSY, BUSY], asked('"1"'))],
  ],
  [
    'it and all others have been silent for an hour, with a request',
    [0, 600_000, HOUR_MS].map((ms) => silentFor(buildObservation([BUSY, BUSY, BUSY], asked('"1"')), ms)),
  ],
  [
    'the queue and the ledger read zero several times',
    [0, 5_000, 10_000, HOUR_MS].map((ms) => later(buildObservation([BUSY]), ms)),
  ],
  [
    'an override pauses the fleet',
    [
      buildObservation([BUSY], { override: buildOverride('pause', null) }),
      buildObservation([BUSY], { ...asked('"1"'), override: buildOverride('pause', null) }),
    ],
  ],
  [
    'an override of zero lasts for hours and it does not answer its request',
    [0, HOUR_MS, 2 * HOUR_MS].map((ms) =>
      later(
        buildObservation([BUSY], { ...asked('"1"'), override: buildOverride('fixed', 0, 9 * HOUR_MS) }),
        ms,
      ),
    ),
  ],
  [
    'another instance of its pool has drained',
    [
      buildObservation([BUSY, { says: 'drained', quotes: '"1"' }], {
        drainRequests: new Map([['vm-1', '"1"']]),
      }),
    ],
  ],
  [
    'it fails frames that others score',
    [
      buildObservation(
        [
          { ...BUSY, beat: { recentFailed: 50 } },
          { ...BUSY, beat: { recentStored: 90 } },
        ],
        { ...asked('"1"'), backlog: [buildJob(600)] },
      ),
    ],
  ],
  [
    'its clock is an hour behind',
    [buildObservation([{ ...BUSY, beat: { sentAt: '2026-11-23T05:00:00.000Z' } }])],
  ],
  [
    'its clock is an hour ahead and ours jumped back',
    [buildObservation([{ ...BUSY, heardMs: -HOUR_MS, sinceMs: -HOUR_MS }], asked('"1"'))],
  ],
];

test.each(SITUATIONS)('a busy worker is not removed when %s', (_, observations) => {
  const memories: readonly Memory[] = [INITIAL_MEMORY, { ...INITIAL_MEMORY, zeroReadings: 99 }];
  for (const first of memories) {
    let memory = first;
    for (const seen of observations) {
      const decided = decide(seen, POLICY_DEFAULTS, memory);
      ({ memory } = decided);
      const removed = decided.decision.actions.flatMap((action) =>
        action.kind === 'remove' ? action.vmIds : [],
      );
      expect(removed).not.toContain('vm-0');
    }
  }
});

test('an instance that has drained is removed, so the situations above do test something', () => {
  const seen = buildObservation([{ says: 'drained', quotes: '"1"' }, BUSY], asked('"1"'));
  const { actions } = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY).decision;
  expect(actions).toMatchObject([{ kind: 'remove', vmIds: ['vm-0'], basis: 'drained' }]);
});
