/** The relations that every policy must satisfy. */
import { expect, test } from 'vitest';

import { POLICY_DEFAULTS, type Policy, checkedPolicy } from '../../scaler/policy.ts';

test('the defaults satisfy every relation', () => {
  expect(checkedPolicy(POLICY_DEFAULTS)).toBe(POLICY_DEFAULTS);
});

const CONTRADICTIONS: readonly (readonly [string, Partial<Policy>])[] = [
  ['has a minimum capacity above the maximum', { capacityMin: 11 }],
  ['has no drain target', { drainTargetMs: 0 }],
  ['has instances without an engine', { enginesPerInstance: 0 }],
  ['has an idle window outside its bounds', { idleMsUnmeasured: 1_000_000 }],
  ['trusts a single reading of zero', { zeroReadingsMin: 1 }],
  ['removes a silent instance before its lease must be over', { leaseMs: 200_000 }],
  ['removes an instance whose heartbeat is only late', { heartbeatStaleMs: 300_000 }],
  ['has a negative spending limit', { spendingPerHourMax: -1 }],
];

test.each(CONTRADICTIONS)('a policy is refused if it %s', (_, fields) => {
  expect(() => checkedPolicy({ ...POLICY_DEFAULTS, ...fields })).toThrow(/./);
});
