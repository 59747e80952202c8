import { expect, test } from 'vitest';

import { instancePhase } from '../../scaler/fleet/instance-phase.ts';

test.each([
  ['Creating', [], 'creating'],
  ['Creating', ['ProvisioningState/creating', 'PowerState/starting'], 'creating'],
  ['Creating', ['PowerState/running'], 'creating'],
  ['Succeeded', ['ProvisioningState/succeeded', 'PowerState/running'], 'running'],
  ['Succeeded', ['PowerState/starting'], 'creating'],
  ['Succeeded', [], 'running'],
  ['Updating', ['PowerState/running'], 'running'],
  ['Updating', [], 'creating'],
  ['Failed', ['PowerState/running'], 'running'],
  ['Failed', ['PowerState/starting'], 'failed'],
  ['Failed', [], 'failed'],
  ['Failed', ['PowerState/deallocated'], 'stopped'],
  ['Succeeded', ['PowerState/deallocated'], 'stopped'],
  ['Succeeded', ['PowerState/deallocating'], 'stopped'],
  ['Succeeded', ['PowerState/stopped'], 'stopped'],
  ['Updating', ['PowerState/stopping'], 'stopped'],
  ['Deleting', ['PowerState/running'], 'deleting'],
  ['Deleting', [], 'deleting'],
])('an instance with provisioning state %s and %j is %s', (provisioningState, statusCodes, phase) => {
  expect(instancePhase(provisioningState, statusCodes)).toBe(phase);
});
