/** The doctor’s findings on a subscription: the real SDKs against the fake Azure Resource Manager. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Arm } from '../../../infra/doctor/azure/arm.ts';
import { planChecks } from '../../../infra/doctor/azure/check-plan.ts';
import { ScaleSetCheck } from '../../../infra/doctor/azure/check-scale-sets.ts';
import { PROVIDERS } from '../../../infra/doctor/azure/judge-providers.ts';
import { runChecks } from '../../../infra/doctor/check.ts';
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

async function runDoctor({ instances = 10, credential = reachFakeArm(arm).credential } = {}): Promise<
  Finding[]
> {
  const { subscriptionId, endpoint, policies } = reachFakeArm(arm);
  const client = new Arm({
    subscriptionId,
    credential,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(policies === undefined ? {} : { policies }),
  });
  const scaleSetCheck = new ScaleSetCheck(client, {
    resourceGroup: RESOURCE_GROUP,
    scaleSets: POOLS,
    instances,
  });
  const checks = [
    scaleSetCheck.check(),
    ...planChecks(client, () => scaleSetCheck.plan(), { isDeployed: true }),
  ];
  return runChecks(checks, systemClock);
}
/** The warnings and errors as text. */
async function problems(options?: Parameters<typeof runDoctor>[0]): Promise<string[]> {
  const findings = await runDoctor(options);
  return findings
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ topic, verdict, message, hint }) => `${verdict} ${topic}: ${message} | ${hint}`);
}

test('doctor reports figures for each check of a subscription without problems', async () => {
  const findings = await runDoctor();
  expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(['ok']));
  expect(findings.map(({ topic, message }) => `${topic}: ${message}`)).toEqual([
    `instances: gpu-spot: 0 ${T4} spot VMs`,
    `instances: gpu: 0 ${T4} on-demand VMs`,
    'providers: all 12 resource providers are registered',
    `size: ${T4} is available in ${LOCATION}, in zones 1, 2`,
    `quota: Total Regional Low-priority vCPUs: 10000 vCPUs in ${LOCATION}, 0 in use: enough for 2500 ${T4} spot VMs`,
    `quota: ${T4_FAMILY} vCPUs: 80 vCPUs in ${LOCATION}, 0 in use: enough for 20 ${T4} on-demand VMs`,
    `quota: Total Regional vCPUs: 10000 vCPUs in ${LOCATION}, 0 in use: enough for 2500 ${T4} on-demand VMs`,
  ]);
  expect(arm.writes()).toEqual([]);
});

test('missing spot quota is a warning while on-demand quota is left, with the amount to request', async () => {
  arm.region.quotas.set(SPOT_QUOTA, 0);
  expect(await problems()).toEqual([
    `warning quota: Total Regional Low-priority vCPUs: 0 vCPUs in ${LOCATION}, 0 in use: no quota for ${T4} spot VMs; another pool has room | ` +
      `Request 40 vCPUs in the portal: Quotas › Compute › ${LOCATION} › Total Regional Low-priority vCPUs. A request takes minutes to days.`,
  ]);
});

test('missing quota for every pool is an error', async () => {
  arm.region.quotas.set(SPOT_QUOTA, 0);
  arm.region.quotas.set(T4_FAMILY, 0);
  const verdicts = (await problems()).map((one) => one.slice(0, one.indexOf(':')));
  expect(verdicts).toEqual(['error quota', 'error quota']);
});

test('an empty family quota, a full region and partial spot quota each have their own message', async () => {
  arm.region.quotas.set(T4_FAMILY, 0);
  arm.region.quotas.set(REGION_QUOTA, 50, 48);
  arm.region.quotas.set(SPOT_QUOTA, 30, 10);
  expect(await problems()).toEqual([
    expect.stringMatching(
      /^warning quota: .*Low-priority vCPUs: 30 vCPUs .*, 10 in use: enough for 5 of 10 .* spot VMs \| Request 50 /,
    ),
    expect.stringMatching(
      /^warning quota: Standard NCASv3_T4 Family vCPUs: 0 vCPUs .*: no quota for .* on-demand VMs; another pool has room \| Request 40 /,
    ),
    expect.stringMatching(
      /^warning quota: Total Regional vCPUs: 50 vCPUs .*, 48 in use: not enough for one .* VM \(4 vCPUs\); .* \| Request 88 /,
    ),
  ]);
});

test('running instances count towards the requested number', async () => {
  const spot = arm.region.scaleSets.get('gpu-spot');
  spot?.raise(3);
  arm.region.quotas.set(SPOT_QUOTA, 16);
  const [first] = await problems({ instances: 4 });
  expect(first).toBeUndefined();
  arm.region.quotas.set(SPOT_QUOTA, 12);
  expect(await problems({ instances: 4 })).toEqual([
    expect.stringMatching(/12 in use: enough for 3 of 4 .* spot VMs \| Request 16 /),
  ]);
});

test('a size that is not offered is an error, with the offered sizes', async () => {
  arm.region.offers.set(T4, null);
  arm.region.offers.set('Standard_NC24ads_A100_v4', { family: 'StandardNCADSA100v4Family', cores: 24 });
  arm.region.offers.set('Standard_NC40ads_H100_v5', { family: 'x', cores: 40, refused: 'QuotaId' });
  arm.region.offers.set('Standard_D2s_v5', { family: 'y', cores: 2 });
  expect(await problems()).toEqual([
    `error size: ${T4} is not offered in ${LOCATION} | ` +
      'Choose an offered size (gpu_vm_size): Standard_NC24ads_A100_v4; or choose another region (location).',
  ]);
});

test('a size that is restricted for the subscription is an error', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, refused: 'NotAvailableForSubscription' });
  expect(await problems()).toEqual([
    expect.stringMatching(
      /^error size: .* is offered in westeurope, but not to this subscription \(NotAvailableForSubscription\) \| Request it in the portal: /,
    ),
  ]);
});

test('restricted zones are a problem only if the fleet uses them', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, zones: ['1', '2', '3'], zonesRefused: ['2'] });
  expect(await problems()).toEqual([]);
  for (const { name, kind } of POOLS) arm.region.addScaleSet({ name, kind, zones: ['1', '2'] });
  expect(await problems()).toEqual([
    `warning size: ${T4} is not available in zone 2 of ${LOCATION} | Set zones to [], or to ["1","3"].`,
  ]);
  for (const { name, kind } of POOLS) arm.region.addScaleSet({ name, kind, zones: ['2'] });
  expect((await problems())[0]).toMatch(/^error size: /);
});

test('a size without spot VMs and a size without a vCPU count are warnings', async () => {
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: 4, isSpotCapable: false });
  expect(await problems()).toEqual([
    `warning size: ${T4} is not available as a spot VM; another pool has room | Remove spot from kinds, or choose another size.`,
  ]);
  arm.region.offers.set(T4, { family: T4_FAMILY, cores: Number.NaN });
  expect(await problems()).toContainEqual(
    expect.stringMatching(/^warning quota: Azure does not report how many vCPUs/),
  );
});

test('a retired size is an error with its successors, or a warning while the region offers it', async () => {
  for (const { name } of POOLS)
    arm.region.addScaleSet({ name, size: V100, family: 'standardNCSv3Family', coresPerInstance: 6 });
  arm.region.quotas.set('standardNCSv3Family', 60);
  arm.region.offers.set(V100, null);
  const successors = /Standard_NC40ads_H100_v5 .*, Standard_NC24ads_A100_v4, .* Standard_NC4as_T4_v3/;
  const [gone, ...others] = await problems();
  expect(others).toEqual([]);
  expect(gone).toMatch(
    /^error size: Standard_NC6s_v3 was retired on 2025-09-30 and is not available in westeurope/,
  );
  expect(gone).toMatch(successors);
  arm.region.offers.delete(V100);
  const [still] = await problems();
  expect(still).toMatch(/^warning size: .* westeurope offers it until 2027-06-30/);
  expect(still).toMatch(successors);
});

test('an unregistered provider is reported with the command, and is an error if VMs need it', async () => {
  arm.region.providers.set('Microsoft.EventGrid', 'NotRegistered');
  arm.region.providers.delete('Microsoft.App');
  expect(await problems()).toEqual([
    'warning providers: not registered: Microsoft.App (NotRegistered), Microsoft.EventGrid (NotRegistered) | ' +
      'Run: az provider register --namespace Microsoft.App && az provider register --namespace Microsoft.EventGrid',
  ]);
  arm.region.providers.set('Microsoft.Compute', 'Unregistered');
  expect((await problems())[0]).toMatch(/^error providers: .*Microsoft\.Compute \(Unregistered\)/);
});

test('a missing role is named with the query that needs it', async () => {
  arm.faults.add({ path: /virtualMachineScaleSets\/gpu\?/, with: forbidden });
  arm.faults.add({ path: /\/usages\?/, with: forbidden });
  expect(await problems()).toEqual([
    expect.stringMatching(
      /^warning instances: cannot read the scale set gpu in framefleet: you do not have permission \(Microsoft\.\S+\) \| Ask an owner of the subscription for the role Reader on the resource group\./,
    ),
    expect.stringMatching(
      /^warning quota: cannot read the quotas of westeurope: you do not have permission.* \| .* Reader on the subscription\./,
    ),
  ]);
});

test('a missing scale set and an unknown subscription are reported with a hint', async () => {
  arm.region.scaleSets.clear();
  expect((await problems())[0]).toMatch(
    /^error instances: cannot read the scale set gpu-spot in framefleet: it does not exist \| Create it: terraform/,
  );
  arm.faults.add({ with: failure(404, 'SubscriptionNotFound', 'The subscription could not be found.') });
  expect((await problems())[0]).toMatch(
    /the subscription does not exist, .* \| List your subscriptions: az account list/,
  );
});

test.each([
  ['throttles', { status: 429, shown: '429' }],
  ['fails', { status: 500, shown: '500 InternalServerError' }],
])(
  'if Azure %s, the query is a warning and is not repeated, and the other checks run',
  async (_, { status, shown }) => {
    const answer =
      status === 429 ? throttled('LowCostGet', 1200) : failure(500, 'InternalServerError', 'Sorry.');
    arm.faults.add({ path: /\/skus\?/, with: answer });
    const [first, ...others] = await problems();
    expect(others).toEqual([]);
    expect(first).toContain(`warning size: cannot list the VM sizes in ${LOCATION}: Azure returned ${shown}`);
    expect(arm.requests.filter(({ path }) => path.includes('/skus?'))).toHaveLength(1);
  },
);

test('a caller without a login gets a hint how to log in', async () => {
  const notLoggedIn = Object.assign(new Error('Please run az login.'), {
    name: 'CredentialUnavailableError',
  });
  const all = await problems({ credential: { getToken: () => Promise.reject(notLoggedIn) } });
  expect(all.length).toBeGreaterThan(1);
  for (const one of all) expect(one).toMatch(/^warning .*: you are not logged in to Azure \| Run az login/);
});

test('an aborted connection to Azure is a warning without a stack trace', async () => {
  arm.faults.add({ with: 'reset' });
  for (const one of await problems())
    expect(one).toMatch(/^warning .*: Azure did not respond \(.*\) \| Check that https/);
});
