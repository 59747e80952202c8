/** The fake Azure Resource Manager: the real SDK can read it, and it is as strict as Azure. */
import { ComputeManagementClient } from '@azure/arm-compute';
import { expect, test } from 'vitest';

import { openAzureFixture } from '../../support/fake-arm/azure-fixture.ts';
import type { FakeArm } from '../../support/fake-arm/fake-arm.ts';
import { LOCATION, RESOURCE_GROUP, T4_FAMILY } from '../../support/fake-arm/fake-region.ts';
import { SPOT_QUOTA } from '../../support/fake-arm/quotas.ts';
import { reachFakeArm } from '../../support/fake-arm/reach-fake-arm.ts';
import { ENDPOINT } from '../../support/fake-arm/routes.ts';

function clientOf(arm: FakeArm): ComputeManagementClient {
  const { credential, subscriptionId, endpoint = '', policies = [] } = reachFakeArm(arm);
  return new ComputeManagementClient(credential, subscriptionId, {
    endpoint,
    additionalPolicies: policies,
    retryOptions: { maxRetries: 0 },
  });
}

test('usages contain limits and usage, by family and for spot', async () => {
  await using fixture = await openAzureFixture();
  fixture.arm.region.quotas.set(SPOT_QUOTA, 100, 6);
  fixture.arm.region.quotas.set(T4_FAMILY, 24);
  fixture.scaleSet.raise(3);
  const usages = await Array.fromAsync(clientOf(fixture.arm).usage.list(LOCATION));
  expect(usages.map(({ name, currentValue, limit }) => [name.value, currentValue, limit])).toEqual([
    [SPOT_QUOTA, 18, 100],
    ['cores', 0, 10_000],
    [T4_FAMILY, 0, 24],
  ]);
});

test('the SKU catalogue contains the sizes of the scale sets, with cores and zones', async () => {
  await using fixture = await openAzureFixture({ scaleSets: [{}, { name: 'steady', kind: 'on-demand' }] });
  const filter = `location eq '${LOCATION}'`;
  const skus = await Array.fromAsync(clientOf(fixture.arm).resourceSkus.list({ filter }));
  expect(skus).toMatchObject([
    { name: 'Standard_NC4as_T4_v3', family: T4_FAMILY, locations: [LOCATION], restrictions: [] },
  ]);
  expect(skus[0]?.capabilities).toContainEqual({ name: 'vCPUs', value: '4' });
});

test('a simulated eviction removes the instance', async () => {
  await using fixture = await openAzureFixture();
  fixture.scaleSet.raise(2);
  await clientOf(fixture.arm).virtualMachineScaleSetVMs.simulateEviction(RESOURCE_GROUP, 'spot', '0');
  expect([...fixture.scaleSet.machines.keys()]).toEqual(['1']);
  expect(fixture.scaleSet.capacity).toBe(1);
});

test.each([
  { what: 'a token', path: '?api-version=2026-04-01', headers: {}, status: 401 },
  { what: 'a version of the API', path: '', headers: { authorization: 'Bearer a-token' }, status: 400 },
])('a call without $what is refused', async ({ path, headers, status }) => {
  await using fixture = await openAzureFixture();
  const { pathname } = new URL(`${ENDPOINT}/subscriptions/1/skus`);
  const answer = await fetch(`http://127.0.0.1:${fixture.arm.port}${pathname}${path}`, { headers });
  expect(answer.status).toBe(status);
});

test('more than twelve changes at once are throttled, with Retry-After and the remaining quota', async () => {
  await using fixture = await openAzureFixture();
  const change = () =>
    clientOf(fixture.arm)
      .virtualMachineScaleSets.update(RESOURCE_GROUP, 'spot', { sku: { name: 'another', capacity: 0 } })
      .submitted();
  const headersOf = (error: unknown) =>
    (error as { response: { headers: { get(name: string): string | undefined } } }).response.headers;
  for (let call = 0; call < 12; call += 1) await expect(change()).rejects.toMatchObject({ statusCode: 400 });
  const headers = headersOf(await change().catch((error: unknown) => error));
  expect(headers.get('retry-after')).toBe('15');
  expect(headers.get('x-ms-ratelimit-remaining-resource')).toBe('Microsoft.Compute/UpdateVMScaleSet;0');
});
