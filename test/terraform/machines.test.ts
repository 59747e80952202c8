/** The machines: none at first, and never again Terraform's business how many. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { SIZES, at, ground, list } from './ground.ts';

describe.each(SIZES)('the scale sets of the %s ground', (size) => {
  const scaleSets = () => ground(size).ofType('azurerm_linux_virtual_machine_scale_set');

  test('begin with nothing, are never filled beyond what is asked, and never updated by themselves', () => {
    const rules = scaleSets().map(({ values }) => ({
      instances: values['instances'],
      overprovision: values['overprovision'],
      single_placement_group: values['single_placement_group'],
      upgrade_mode: values['upgrade_mode'],
      platform_fault_domain_count: values['platform_fault_domain_count'],
    }));
    expect(rules).toEqual(
      rules.map(() => ({
        instances: 0,
        overprovision: false,
        single_placement_group: false,
        upgrade_mode: 'Manual',
        platform_fault_domain_count: 1,
      })),
    );
  });

  test('are spot for as long as it costs no more than its price, or on demand with notice of their end', () => {
    const terms = Object.fromEntries(
      scaleSets().map(({ index, values }) => [
        index,
        [
          values['priority'],
          values['eviction_policy'] ?? '',
          values['max_bid_price'],
          at(values, 'termination_notification', 0, 'timeout') ?? '',
        ],
      ]),
    );
    const spot = ['Spot', 'Delete', -1, ''];
    const onDemand = ['Regular', '', -1, 'PT5M'];
    const wanted =
      size === 'small'
        ? { 'gpu-spot': spot, gpu: onDemand }
        : {
            'gpu-spot': spot,
            'gpu-spot-2': spot,
            'gpu-spot-3': spot,
            gpu: onDemand,
            'gpu-2': onDemand,
            'gpu-3': onDemand,
          };
    expect(terms).toEqual(wanted);
  });

  test('have a disk that goes with the machine, the workers’ identity, and no password', () => {
    const worker = ground(size)
      .ofType('azurerm_user_assigned_identity')
      .find(({ index }) => index === 'worker');
    const made = scaleSets().map(({ values }) => [
      at(values, 'os_disk', 0, 'caching'),
      at(values, 'os_disk', 0, 'diff_disk_settings', 0, 'option'),
      list(at(values, 'identity', 0, 'identity_ids')),
      values['disable_password_authentication'],
      values['extension_operations_enabled'],
    ]);
    expect(made).toEqual(made.map(() => ['ReadOnly', 'Local', [worker?.values['id']], true, false]));
  });
});

test('the capacity is ignored ever after, and nothing else is', () => {
  const text = readFileSync('infra/terraform/workers.tf', 'utf8');
  expect(text).toMatch(/lifecycle \{\n {4}ignore_changes = \[instances\]\n {2}\}/);
});

test('sizes are tried in the order given, as spot before on demand', () => {
  const sizes = Object.fromEntries(
    ground('full')
      .ofType('azurerm_linux_virtual_machine_scale_set')
      .map(({ index, values }) => [index, values['sku']]),
  );
  expect(sizes).toMatchObject({
    'gpu-spot': 'Standard_NC24ads_A100_v4',
    'gpu-spot-2': 'Standard_NC40ads_H100_v5',
    'gpu-3': 'Standard_NC16as_T4_v3',
  });
});
