import { afterEach, beforeEach, expect, test } from 'vitest';

import { Arm } from '../../../infra/doctor/azure/ask-arm.ts';
import { PROVIDERS } from '../../../infra/doctor/azure/judge-providers.ts';
import { planLooks } from '../../../infra/doctor/azure/look-at-plan.ts';
import { ScaleSets } from '../../../infra/doctor/azure/look-at-scale-sets.ts';
import { lookAt } from '../../../infra/doctor/look.ts';
/** What the doctor says of a subscription: the real SDKs against the fake Azure Resource Manager. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { failure, forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { FakeArm } from '../../support/fake-arm/fake-arm.ts';
import { LOCATION, RESOURCE_GROUP, T4_FAMILY } from '../../support/fake-arm/fake-region.ts';
import { REGION_QUOTA, SPOT_QUOTA } from '../../support/fake-arm/quotas.ts';
import { reachFakeArm } from '../../support/fake-arm/reach-fake-arm.ts';
import { MovableClock } from '../../support/movable-clock.ts';

const T4 = 'Standard_NC4as_T4_v3';
const V100 = 'Standard_NC6s_v3';

let arm: FakeArm;

beforeEach(async () => {
  arm = await new FakeArm({ clock: new MovableClock() }).start();
  arm.region.addScaleSet({ name: 'gpu-spot', kind: 'spot' });
  arm.region.addScaleSet({ name: 'gpu', kind: 'on-demand' });
  arm.region.quotas.set(T4_FAMILY, 80);
  for (const namespace of PROVIDERS) arm.region.providers.set(namespace, 'Registered');
});
afterEach(() => arm[Symbol.asyncDispose]());

const POOLS = [
  { name: 'gpu-spot', kind: 'spot' },
  { name: 'gpu', kind: 'on-demand' },
] as const;

async function examine({ machines = 10, credential = reachFakeArm(arm).credential } = {}): Promise<
  Finding[]
> {
  const { subscriptionId, endpoint, policies } = reachFakeArm(arm);
  const asked = new Arm({
    subscriptionId,
    credential,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(policies === undefined ? {} : { policies }),
  });
  const seen = new ScaleSets(asked, { resourceGroup: RESOURCE_GROUP, scaleSets: POOLS, machines });
  const looks = [seen.look(), ...planLooks(asked, () => seen.plan(), { isDeployed: true })];
  return lookAt(looks, systemClock);
}
/** What is not right, as a person reads it. */
async function troubles(options?: Parameters<typeof examine>[0]): Promise<string[]> {
  const findings = await examine(options);
  return findings
    .filter(({ verdict }) => verdict !== 'right')
    .map(({ topic, verdict, says, todo }) => `${verdict} ${topic}: ${says} | ${todo}`);
}

test('where all is well each thing is said to be right, with figures', async () => {
  const findings = await examine();
  expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(['right']));
  expect(findings.map(({ topic, says }) => `${topic}: ${says}`)).toEqual([
    `machines: gpu-spot: 0 of ${T4}, spot`,
    `machines: gpu: 0 of ${T4}, on demand`,
    'providers: all 12 are registered',
    `size: ${T4} can be had in ${LOCATION}, in zones 1, 2`,
    `quota: Total Regional Low-priority vCPUs: 10000 vCPUs in ${LOCATION}, 0 in use: room for 2500 ${T4} spot`,
    `quota: ${T4_FAMILY} vCPUs: 80 vCPUs in ${LOCATION}, 0 in use: room for 20 ${T4} on demand`,
    `quota: Total Regional vCPUs: 10000 vCPUs in ${LOCATION}, 0 in use: room for 2500 ${T4} on demand`,
  ]);
  expect(arm.writes()).toEqual([]);
});

test('no quota for spot is a warning while on demand has some, with how much to ask for and where', async () => {
  arm.region.quotas.set(SPOT_QUOTA, 0);
  expect(await troubles()).toEqual([
    `warning quota: Total Regional Low-priority vCPUs: 0 vCPUs in ${LOCATION}, 0 in use: no ${T4} spot at all; another pool has room | ` +
      `Ask for 40 in the portal: Quotas › Compute › ${LOCATION} › Total Regional Low-priority vCPUs. It takes minutes to days.`,
  ]);
});

test('no quota for anything is wrong', async () => {
  arm.region.quotas.set(SPOT_QUOTA, 0);
  arm.region.quotas.set(T4_FAMILY, 0);
  const verdicts = (await troubles()).map((one) => one.slice(0, one.indexOf(':')));
  expect(verdicts).toEqual(['wrong quota', 'wrong quota']);
});

test('none of the family, a full region, and room for some spot: each in its own words', async () => {
  arm.region.quotas.set(T4_FAMILY, 0);
  arm.region.quotas.set(REGION_QUOTA, 50, 48);
  arm.region.quotas.set(SPOT_QUOTA, 30, 10);
  expect(await troubles()).toEqual([
    expect.stringMatching(
      /^warning quota: .*Low-priority vCPUs: 30 vCPUs .*, 10 in use: room for 5 .* spot, of 10 wanted \| Ask for 50 /,
    ),
    expect.stringMatching(
      /^warning quota: Standard NCASv3_T4 Family vCPUs: 0 vCPUs .*: no .* on demand at all; another pool has room \| Ask for 40 /,
    ),
    expect.stringMatching(
      /^warning quota: Total Regional vCPUs: 50 vCPUs .*, 48 in use: no room for one .*, which has 4; .* \| Ask for 88 /,
    ),
  ]);
});

test('machines that run already count: their cores are in use, and are ours', async () => {
  const spot = arm.region.scaleSets.get('gpu-spot');
  spot?.raise(3);
  arm.region.quotas.set(SPOT_QUOTA, 16);
  const [first] = await troubles({ machines: 4 });
  expect(first).toBeUndefined();
  arm.region.quotas.set(SPOT_QUOTA, 12);
  expect(await troubles({ machines: 4 })).toEqual([
    expect.stringMatching(/12 in use: room for 3 .* spot, of 4 wanted \| Ask for 16 /),
  ]);
});

test('a size that is not offered is wrong, with what is', async () => {
  arm.region.offers.set(T4, null);
  arm.region.offers.set('Standard_NC24ads_A100_v4', { family: 'StandardNCADSA100v4Family', cores: 24 });
  arm.region.offers.set('Standard_NC40ads_H100_v5', { family: 'x', cores: 40, refused: 'QuotaId' });
  arm.region.offers.set('Standard_D2s_v5', { family: 'y', cores: 2 });
  expect(await troubles()).toEqual([
    `wrong size: ${T4} is not offered in ${LOCATION} | ` +
      'Choose one that is (gpu_vm_size): Standard_NC24ads_A100_v4; or another region (location).',
  ]);
});

test('a size that the subscription may not have is told', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, refused: 'NotAvailableForSubscription' });
  expect(await troubles()).toEqual([
    expect.stringMatching(
      /^wrong size: .* is offered in westeurope, but not to this subscription \(NotAvailableForSubscription\) \| Ask for it: /,
    ),
  ]);
});

test('zones that the subscription may not have matter where machines are to be in them', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, zones: ['1', '2', '3'], zonesRefused: ['2'] });
  expect(await troubles()).toEqual([]);
  for (const { name, kind } of POOLS) arm.region.addScaleSet({ name, kind, zones: ['1', '2'] });
  expect(await troubles()).toEqual([
    `warning size: ${T4} cannot be had in zone 2 of ${LOCATION} | Leave zones empty, or set it to ["1","3"].`,
  ]);
  for (const { name, kind } of POOLS) arm.region.addScaleSet({ name, kind, zones: ['2'] });
  expect((await troubles())[0]).toMatch(/^wrong size: /);
});

test('a size without spot, and one of which Azure tells too little, are warnings', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, isSpotCapable: false });
  expect(await troubles()).toEqual([
    `warning size: ${T4} cannot be had as spot; another pool has room | Leave spot out of kinds, or choose another size.`,
  ]);
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: Number.NaN });
  expect(await troubles()).toContainEqual(
    expect.stringMatching(/^warning quota: Azure does not say how many vCPUs/),
  );
});

test('a retired size is wrong with its successors, and a warning where the region still has it', async () => {
  for (const { name } of POOLS)
    arm.region.addScaleSet({ name, size: V100, family: 'standardNCSv3Family', coresPerMachine: 6 });
  arm.region.quotas.set('standardNCSv3Family', 60);
  arm.region.offers.set(V100, null);
  const successors = /Standard_NC40ads_H100_v5 .*, Standard_NC24ads_A100_v4, .* Standard_NC4as_T4_v3/;
  const [gone, ...others] = await troubles();
  expect(others).toEqual([]);
  expect(gone).toMatch(
    /^wrong size: Standard_NC6s_v3 was retired on 2025-09-30 and cannot be had in westeurope/,
  );
  expect(gone).toMatch(successors);
  arm.region.offers.delete(V100);
  const [still] = await troubles();
  expect(still).toMatch(/^warning size: .* westeurope still has it, until 2027-06-30/);
  expect(still).toMatch(successors);
});

test('a provider that is not registered is told with the command, and is wrong where machines need it', async () => {
  arm.region.providers.set('Microsoft.EventGrid', 'NotRegistered');
  arm.region.providers.delete('Microsoft.App');
  expect(await troubles()).toEqual([
    'warning providers: not registered: Microsoft.App (NotRegistered), Microsoft.EventGrid (NotRegistered) | ' +
      'az provider register --namespace Microsoft.App && az provider register --namespace Microsoft.EventGrid',
  ]);
  arm.region.providers.set('Microsoft.Compute', 'Unregistered');
  expect((await troubles())[0]).toMatch(/^wrong providers: .*Microsoft\.Compute \(Unregistered\)/);
});

test('a role that is missing is named, with what it was needed for', async () => {
  arm.faults.add({ path: /virtualMachineScaleSets\/gpu\?/, with: forbidden });
  arm.faults.add({ path: /\/usages\?/, with: forbidden });
  expect(await troubles()).toEqual([
    expect.stringMatching(
      /^warning machines: cannot read the scale set gpu in framefleet: you may not \(Microsoft\.\S+\) \| Ask an owner of the subscription for the role Reader on the resource group\./,
    ),
    expect.stringMatching(
      /^warning quota: cannot read the quotas of westeurope: you may not.* \| .* Reader on the subscription\./,
    ),
  ]);
});

test('what is not there, and a subscription of somebody else, is said with what to do', async () => {
  arm.region.scaleSets.clear();
  expect((await troubles())[0]).toMatch(
    /^wrong machines: cannot read the scale set gpu-spot in framefleet: it is not there \| Make it: terraform/,
  );
  arm.faults.add({ with: failure(404, 'SubscriptionNotFound', 'The subscription could not be found.') });
  expect((await troubles())[0]).toMatch(/there is no such subscription, .* \| See yours: az account list/);
});

test.each([
  ['throttles', { status: 429, said: '429' }],
  ['fails', { status: 500, said: '500 InternalServerError' }],
])('where Azure %s, it is a warning, asked once, and the rest is still told', async (_, { status, said }) => {
  const answer =
    status === 429 ? throttled('LowCostGet', 1200) : failure(500, 'InternalServerError', 'Sorry.');
  arm.faults.add({ path: /\/skus\?/, with: answer });
  const [first, ...others] = await troubles();
  expect(others).toEqual([]);
  expect(first).toContain(`warning size: cannot list the sizes of ${LOCATION}: Azure answered ${said}`);
  expect(arm.requests.filter(({ path }) => path.includes('/skus?'))).toHaveLength(1);
});

test('whoever is not logged in is told how to log in', async () => {
  const nobody = Object.assign(new Error('Please run az login.'), { name: 'CredentialUnavailableError' });
  const all = await troubles({ credential: { getToken: () => Promise.reject(nobody) } });
  expect(all.length).toBeGreaterThan(1);
  for (const one of all) expect(one).toMatch(/^warning .*: you are not logged in to Azure \| az login/);
});

test('an Azure that breaks off is a warning, and never a stack', async () => {
  arm.faults.add({ with: 'reset' });
  for (const one of await troubles())
    expect(one).toMatch(/^warning .*: Azure does not answer \(.*\) \| See that https/);
});
