/** What the ground refuses before anything is made: each bad value, with what was expected. */
import { expect, inject, test } from 'vitest';

import { runStub } from './tfstub.ts';

async function refusalOf(more: readonly string[]): Promise<string> {
  const { passed, said } = await runStub(inject('tool'), { file: 'small.tfvars', more });
  expect(passed).toBe(false);
  return said;
}

test('a size that was retired is refused with the names of its successors', async () => {
  const said = await refusalOf(['gpu_vm_size="Standard_NC6s_v3"']);
  expect(said).toContain('Standard_NC6s_v3 was retired on 2025-09-30 and cannot be had in eastus');
  expect(said).toContain('Standard_NC40ads_H100_v5');
  expect(said).toContain('Standard_NC24ads_A100_v4');
  expect(said).toContain('Standard_NC4as_T4_v3');
});

test('a size that is gone everywhere is refused in every region', async () => {
  const said = await refusalOf(['gpu_vm_size="Standard_NC24r"', 'location="jioindiawest"']);
  expect(said).toContain('Standard_NC24r has been retired everywhere');
});

test('every bad setting is named at once, with what was expected', async () => {
  const said = await refusalOf([
    'subscription_id="mine"',
    'operator_addresses=["10.0.0.4"]',
    'ssh_public_key="-----BEGIN OPENSSH PRIVATE KEY-----"',
    'name="Frame-Fleet"',
    'location="West Europe"',
    'uploader_addresses=["203.0.113.9/32"]',
    'share_days_max=8',
    'image_tag="latest"',
    'storage_replication="RAGRS"',
    'keep_frames_days_max=7',
    'keep_logs_days=0',
    'keep_sources_days=0',
    'alert_emails=["nobody"]',
    'budget_per_month=0',
    'kinds=["reserved"]',
    'zones=["4"]',
    'worker_image_id="my-image"',
    'capacity_max=1001',
    'spending_per_hour_max=0',
    'prices={Standard_NC4as_T4_v3={cheap=1}}',
    'log_level="loud"',
    'lease_seconds=5',
    'producer_size={cpu=3.3,memory=4}',
    'worker_settings={execution_providers=["rocm"]}',
    'managed_redis_size="P1"',
  ]);
  const expectations = [
    'Expected the id of a subscription',
    'not the private one of your machine',
    "Expected a public key in OpenSSH's format",
    'Expected 3 to 12 lower case letters and digits',
    "Expected a region's short name",
    'Expected IPv4 addresses or ranges up to /30',
    'Expected 1 to 7 whole days',
    'is a different image every day',
    'Expected LRS, ZRS, GRS or GZRS',
    'Expected more than 7',
    'Expected a day at least.',
    'Expected a day at least, or null',
    'Expected mail addresses',
    'Expected an amount of money.',
    'Expected spot, on-demand, or both',
    'Expected zones 1, 2 and 3',
    'Expected the resource id of an image',
    'Expected a whole number from 1 to 1000',
    'Expected an amount of money, or null',
    'Expected prices for spot and on-demand',
    'Expected debug, info, warn, error or silent',
    'Expected 6 to 3600 seconds',
    'Expected 0.5 to 4 vCPUs',
    'Expected tensorrt, cuda, cpu',
    'Expected a size of Azure Managed Redis',
  ];
  expect(expectations.filter((expectation) => !said.includes(expectation))).toEqual([]);
});

test('what contradicts something else is refused, too', async () => {
  const said = await refusalOf([
    'operator_addresses=[]',
    'fallback_gpu_vm_sizes=["Standard_NC64as_T4_v3","Standard_NC12s_v3"]',
    'kinds=["spot"]',
    'on_demand_base=1',
    'nat_gateway=false',
    'build_images=false',
    'keep_frames_days_max=8',
    'producer_settings={keep_failed_frames_seconds=864000}',
  ]);
  const expectations = [
    'Expected one address at least',
    'Expected sizes with as many GPUs as Standard_NC4as_T4_v3',
    'Expected NC sizes that can be had in eastus',
    'and on-demand among the kinds',
    'machines need everything in their image',
    'With build_images = false, say which images there are',
    'that rule would remove them first',
  ];
  expect(expectations.filter((expectation) => !said.includes(expectation))).toEqual([]);
});

test('a size of another kind, and numbers below zero, are refused', async () => {
  const said = await refusalOf([
    'gpu_vm_size="Standard_NV36ads_A10_v5"',
    'capacity_min=-1',
    'on_demand_base=-1',
  ]);
  expect(said).toContain('Expected an NC size');
  expect(said).toContain('Expected a number from 0 to capacity_max');
  expect(said).toContain('Expected 0 or more; and on-demand among the kinds');
});

test('a door that Azure would not take, or that everybody could walk through, is refused', async () => {
  const said = await refusalOf(['operator_addresses=["203.0.113.0/31", "0.0.0.0/0", "two"]']);
  expect(said).toContain('no range of two');
  expect(said).toContain('not a door but a hole');
  expect(said).toContain('Expected IPv4 addresses');
});
