/**
 * Somebody who wants a worker to be switched off at work, and may choose what the scaler sees: every trick that has cost somebody a
 * job, and some that have not yet. Each is a row of looks by one scaler; in none of them may the victim, `vm-0`, be removed.
 */
import { expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, NOTHING_REMEMBERED } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import {
  POLICY,
  type SeenMachine,
  buildJob,
  buildObservation,
  buildOverride,
  later,
} from '../support/build-observation.ts';

const IDLE_LONG: SeenMachine = { says: 'idle', sinceMs: 3_600_000 };
const BUSY: SeenMachine = { says: 'busy' };
const asked = (etag: string): Partial<Observation> => ({ drainRequests: new Map([['vm-0', etag]]) });
const HOUR_MS = 3_600_000;

/** Everybody goes on with the same last word, which gets older. */
function silentFor(seen: Observation, byMs: number): Observation {
  return { ...later(seen, byMs), workers: seen.workers };
}

const TRICKS: readonly (readonly [string, readonly Observation[]])[] = [
  [
    'it is idle for an hour, and takes a batch at the moment it is asked',
    [buildObservation([IDLE_LONG]), buildObservation([IDLE_LONG]), buildObservation([BUSY], asked('"1"'))],
  ],
  [
    'it drained for an earlier request, and the machine began again',
    [buildObservation([{ says: 'drained', quotes: '"1"' }], asked('"2"'))],
  ],
  [
    'it quotes the request, but still holds its batch',
    [buildObservation([{ says: 'draining', quotes: '"1"' }], asked('"1"'))],
  ],
  ['it quotes the request, and is idle', [buildObservation([{ ...IDLE_LONG, quotes: '"1"' }], asked('"1"'))]],
  ['it drains for a notice of its own, and no request stands', [buildObservation([{ says: 'drained' }])]],
  [
    'the request it consented to was withdrawn',
    [
      buildObservation([{ says: 'drained', quotes: '"1"' }], asked('"1"')),
      buildObservation([{ says: 'drained', quotes: '"1"' }]),
    ].slice(1),
  ],
  [
    'the request stands, and heartbeats cannot be read',
    [buildObservation([BUSY], { ...asked('"1"'), workers: null })],
  ],
  [
    'it consented, and requests cannot be read',
    [buildObservation([{ says: 'drained', quotes: '"1"' }], { drainRequests: null })],
  ],
  ['all heartbeats are gone', [buildObservation([{ ...BUSY, says: 'none' }, BUSY], { workers: new Map() })]],
  ['the cloud says that it is stopped, and it beats', [buildObservation([{ ...BUSY, phase: 'stopped' }])]],
  ['the cloud says that it failed, and it beats', [buildObservation([{ ...BUSY, phase: 'failed' }])]],
  [
    'the cloud says that it failed, before it is first heard',
    [buildObservation([{ says: 'none', phase: 'failed', ageMs: 60_000 }, BUSY])],
  ],
  [
    'the cloud says that it is still being made',
    [buildObservation([{ ...BUSY, phase: 'creating', ageMs: HOUR_MS }])],
  ],
  [
    'it is silent for less than the others may be',
    [buildObservation([{ ...BUSY, heardMs: 299_000 }, BUSY], asked('"1"'))],
  ],
  [
    'it is silent for an hour, but its request was written a moment ago',
    [buildObservation([{ ...BUSY, heardMs: HOUR_MS }, BUSY, BUSY], asked('"1"'))],
  ],
  [
    'it is silent for an hour with its request standing, and so is everybody',
    [0, 600_000, HOUR_MS].map((ms) => silentFor(buildObservation([BUSY, BUSY, BUSY], asked('"1"')), ms)),
  ],
  [
    'queue and ledger say zero, twice and again',
    [0, 5_000, 10_000, HOUR_MS].map((ms) => later(buildObservation([BUSY]), ms)),
  ],
  [
    'a person pauses the fleet',
    [
      buildObservation([BUSY], { override: buildOverride('pause', null) }),
      buildObservation([BUSY], { ...asked('"1"'), override: buildOverride('pause', null) }),
    ],
  ],
  [
    'a person wants none, for hours, and it does not answer',
    [0, HOUR_MS, 2 * HOUR_MS].map((ms) =>
      later(
        buildObservation([BUSY], { ...asked('"1"'), override: buildOverride('fixed', 0, 9 * HOUR_MS) }),
        ms,
      ),
    ),
  ],
  [
    'another machine of its pool has consented',
    [
      buildObservation([BUSY, { says: 'drained', quotes: '"1"' }], {
        drainRequests: new Map([['vm-1', '"1"']]),
      }),
    ],
  ],
  [
    'it fails what others score',
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
    'its clock is an hour ahead, and ours jumped back',
    [buildObservation([{ ...BUSY, heardMs: -HOUR_MS, sinceMs: -HOUR_MS }], asked('"1"'))],
  ],
];

test.each(TRICKS)('nobody is switched off at work when %s', (_, looks) => {
  const memories: readonly Memory[] = [NOTHING_REMEMBERED, { ...NOTHING_REMEMBERED, zeroReadings: 99 }];
  for (const first of memories) {
    let memory = first;
    for (const seen of looks) {
      const decided = decide(seen, POLICY, memory);
      ({ memory } = decided);
      const removed = decided.decision.actions.flatMap((action) =>
        action.kind === 'remove' ? action.vmIds : [],
      );
      expect(removed).not.toContain('vm-0');
    }
  }
});

test('the one that consented does go: the tricks fail for their own sake', () => {
  const seen = buildObservation([{ says: 'drained', quotes: '"1"' }, BUSY], asked('"1"'));
  const { actions } = decide(seen, POLICY, NOTHING_REMEMBERED).decision;
  expect(actions).toMatchObject([{ kind: 'remove', vmIds: ['vm-0'], basis: 'consent' }]);
});
