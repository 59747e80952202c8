/** What holds for everything the scaler may ever see, however unlikely. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type Memory, NOTHING_REMEMBERED, decide } from '../../scaler/decide.ts';
import type { Backlog, Observation } from '../../scaler/observe.ts';
import { WORKER_STATES } from '../../shared/contract/heartbeat.ts';
import { NO_BACKLOG, POLICY, buildObservation } from '../support/build-observation.ts';

const backlogs: fc.Arbitrary<Backlog> = fc.record({
  framesRemaining: fc.nat({ max: 3 }),
  batchesRemaining: fc.nat({ max: 30 }),
  engineSecondsRemaining: fc.nat({ max: 10_000 }),
  jobsOpen: fc.nat({ max: 1 }),
});
const observations: fc.Arbitrary<Observation> = fc
  .record({
    states: fc.array(fc.constantFrom(...WORKER_STATES), { maxLength: 12 }),
    messagesApprox: fc.option(fc.nat({ max: 3 })),
    backlog: fc.option(fc.oneof(backlogs, fc.constant(NO_BACKLOG))),
    isFleetKnown: fc.boolean(),
  })
  .map(({ states, messagesApprox, backlog, isFleetKnown }) => {
    const seen = buildObservation(states, { messagesApprox, backlog });
    return isFleetKnown ? seen : { ...seen, instances: null };
  });
const memories: fc.Arbitrary<Memory> = fc.record({
  zeroReadings: fc.nat({ max: 3 }),
  idleSinceMs: fc.option(fc.nat({ max: 1_000_000 })),
});

function desired(seen: Partial<Observation>): number {
  return decide(buildObservation(['idle', 'busy'], seen), POLICY, NOTHING_REMEMBERED).decision
    .capacityDesired;
}

test('growth is growth, and never beyond the bound', () => {
  fc.assert(
    fc.property(observations, memories, fc.nat({ max: 10 }), (seen, memory, capacityMax) => {
      const { action } = decide(seen, { ...POLICY, capacityMax }, memory).decision;
      fc.pre(action.kind === 'scale-out');
      expect(action.total).toBeGreaterThan(seen.instances?.length ?? Infinity);
      expect(action.total).toBeLessThanOrEqual(capacityMax);
    }),
  );
});

test('nothing is removed while there is any sign of work, and nobody who works', () => {
  fc.assert(
    fc.property(observations, memories, fc.nat({ max: 10 }), (seen, memory, capacityMax) => {
      const { action } = decide(seen, { ...POLICY, capacityMax }, memory).decision;
      fc.pre(action.kind === 'remove');
      const { messagesApprox, backlog, instances, heartbeats } = seen;
      expect([messagesApprox, backlog?.framesRemaining, backlog?.jobsOpen]).toEqual([0, 0, 0]);
      expect(action.vmIds.length).toBeGreaterThan(0);
      expect(instances?.map(({ vmId }) => vmId)).toEqual(expect.arrayContaining([...action.vmIds]));
      expect(action.vmIds.map((vmId) => heartbeats?.get(vmId)?.state)).not.toContain('busy');
    }),
  );
});

test('more to do never asks for fewer instances', () => {
  fc.assert(
    fc.property(
      backlogs,
      backlogs,
      fc.nat({ max: 30 }),
      fc.nat({ max: 30 }),
      (less, more, messages, moreMessages) => {
        const backlog = { ...less, jobsOpen: 1 };
        const larger: Backlog = {
          framesRemaining: less.framesRemaining + more.framesRemaining,
          batchesRemaining: less.batchesRemaining + more.batchesRemaining,
          engineSecondsRemaining: less.engineSecondsRemaining + more.engineSecondsRemaining,
          jobsOpen: 1 + more.jobsOpen,
        };
        expect(desired({ backlog: larger, messagesApprox: messages + moreMessages })).toBeGreaterThanOrEqual(
          desired({ backlog, messagesApprox: messages }),
        );
      },
    ),
  );
});
