/** Invalid settings that Terraform rejects before it creates anything, with the expected values. */
import { expect, inject, test } from 'vitest';

import { runStub } from './tfstub.ts';

async function rejectionOf(more: readonly string[]): Promise<string> {
  const { passed, output } = await runStub(inject('tool'), { file: 'small.tfvars', more });
  expect(passed).toBe(false);
  return output;
}

test('a retired size is rejected with the names of its successors', async () => {
  const output = await rejectionOf(['gpu_vm_size="Standard_NC6s_v3"']);
  expect(output).toContain('Standard_NC6s_v3 was retired on 2025-09-30 and is not available in eastus');
  expect(output).toContain('Standard_NC40ads_H100_v5');
  expect(output).toContain('Standard_NC24ads_A100_v4');
  expect(output).toContain('Standard_NC4as_T4_v3');
});

test('a size that is retired in all regions is rejected in every region', async () => {
  const output = await rejectionOf(['gpu_vm_size="Standard_NC24r"', 'location="jioindiawest"']);
  expect(output).toContain('Standard_NC24r is retired in all regions');
});

test('all invalid settings are reported at once, with the expected values', async () => {
  const output = await rejectionOf([
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
    'producers_max=11',
    'worker_settings={execution_providers=["rocm"]}',
    'managed_redis_size="P1"',
  ]);
  const expectations = [
    'Expected a subscription ID',
    'not the private address of your machine',
    'Expected a public key in OpenSSH format',
    'Expected 3 to 12 lowercase letters and digits',
    'Expected the short name of a region',
    'Expected IPv4 addresses or ranges from /8 to /30',
    'Expected a whole number of days from 1 to 7',
    'new instances could start a different image',
    'Expected LRS, ZRS, GRS or GZRS',
    'Expected more than 7',
    'Expected at least 1 day.',
    'Expected at least 1 day, or null',
    'Expected email addresses',
    'Expected an amount greater than 0.',
    'Expected spot, on-demand, or both',
    'Expected zones among 1, 2 and 3',
    'Expected the resource ID of an image',
    'Expected a whole number from 1 to 1000',
    'Expected an amount greater than 0, or null',
    'Expected prices of 0 or more for spot and on-demand',
    'Expected debug, info, warn, error or silent',
    'Expected 6 to 3600 seconds',
    'Expected 0.5 to 4 vCPUs',
    'Expected a whole number of producers from 1 to 10',
    'Expected one or more of tensorrt, cuda and cpu',
    'Expected a size of Azure Managed Redis',
  ];
  expect(expectations.filter((expectation) => !output.includes(expectation))).toEqual([]);
});

test('settings that contradict each other are rejected', async () => {
  const output = await rejectionOf([
    'operator_addresses=[]',
    'fallback_gpu_vm_sizes=["Standard_NC64as_T4_v3","Standard_NC12s_v3"]',
    'kinds=["spot"]',
    'on_demand_base=1',
    'capacity_max=4',
    'schedule=["0 8 * * 1-5 for 10h in Europe/Berlin at least 5"]',
    'nat_gateway=false',
    'build_images=false',
    'keep_frames_days_max=8',
    'producer_settings={keep_failed_frames_seconds=864000}',
  ]);
  const expectations = [
    'Expected at least one address',
    'Expected sizes with the same number of GPUs as Standard_NC4as_T4_v3',
    'Expected NC sizes that are available in eastus',
    'requires on-demand in kinds',
    'Expected no window to ask for more instances than capacity_max',
    'With nat_gateway = false, worker_image_id is required',
    'With build_images = false, image_tag is required',
    'Otherwise storage would delete the frames first',
  ];
  expect(expectations.filter((expectation) => !output.includes(expectation))).toEqual([]);
});

test('a size of another series, negative numbers, half a window and half a producer are rejected', async () => {
  const output = await rejectionOf([
    'gpu_vm_size="Standard_NV36ads_A10_v5"',
    'capacity_min=-1',
    'schedule=["0 8 * * 1-5 in Europe/Berlin at least 2"]',
    'on_demand_base=-1',
    'producers_max=1.5',
  ]);
  expect(output).toContain('Expected an NC size');
  expect(output).toContain('Expected a number from 0 to capacity_max');
  expect(output).toContain('Expected windows such as "0 8 * * 1-5 for 10h in Europe/Berlin at least 2"');
  expect(output).toContain('Expected 0 or more. A value above 0 requires on-demand in kinds');
  expect(output).toContain('Expected a whole number of producers from 1 to 10');
});

test('address ranges that Azure rejects or that are too large are rejected', async () => {
  const output = await rejectionOf(['operator_addresses=["203.0.113.0/31", "0.0.0.0/0", "two"]']);
  expect(output).toContain('Azure Storage rejects /31 and /32');
  expect(output).toContain('A range larger than /8 is not allowed');
  expect(output).toContain('Expected IPv4 addresses');
});
