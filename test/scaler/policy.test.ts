import { expect, test } from 'vitest';

import { POLICY_DEFAULTS, type Policy, checkedPolicy } from '../../scaler/policy.ts';

test('the defaults do not contradict themselves', () => {
  expect(checkedPolicy(POLICY_DEFAULTS)).toBe(POLICY_DEFAULTS);
});

const CONTRADICTIONS: readonly (readonly [string, Partial<Policy>])[] = [
  ['keeps more than there may be', { capacityMin: 11 }],
  ['is to be done in no time', { drainTargetMs: 0 }],
  ['has machines without an engine', { enginesPerInstance: 0 }],
  ['has an idle window out of its bounds', { idleMsUnmeasured: 1_000_000 }],
  ['believes a single zero', { zeroReadingsMin: 1 }],
  ['takes a lease for over that may not be', { leaseMs: 200_000 }],
  ['removes who is merely late', { heartbeatStaleMs: 300_000 }],
  ['has a debt for a bound', { spendingPerHourMax: -1 }],
];

test.each(CONTRADICTIONS)('a policy that %s is refused', (_, fields) => {
  expect(() => checkedPolicy({ ...POLICY_DEFAULTS, ...fields })).toThrow(/./);
});
