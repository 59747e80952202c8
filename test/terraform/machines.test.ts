/** The scale sets: created without instances; Terraform ignores their capacity afterwards. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { SIZES, at, stateOf, list } from './state.ts';

describe.each(SIZES)('the scale sets of the %s configuration', (size) => {
  const scaleSets = () => stateOf(size).ofType('azurerm_linux_virtual_machine_scale_set');

  test('have no instances, no overprovisioning and no automatic upgrades', () => {
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

  test('are spot without a price limit, or on demand with a termination notification', () => {
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
    const expected =
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
    expect(terms).toEqual(expected);
  });

  test('have an ephemeral disk, the workers’ identity and no password', () => {
    const worker = stateOf(size)
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

test('Terraform ignores changes of the capacity and nothing else', () => {
  const text = readFileSync('infra/terraform/workers.tf', 'utf8');
  expect(text).toMatch(/lifecycle \{\n {4}ignore_changes = \[instances\]\n {2}\}/);
});

test('scale sets are ordered by kind, then by the given order of sizes', () => {
  const sizes = Object.fromEntries(
    stateOf('full')
      .ofType('azurerm_linux_virtual_machine_scale_set')
      .map(({ index, values }) => [index, values['sku']]),
  );
  expect(sizes).toMatchObject({
    'gpu-spot': 'Standard_NC24ads_A100_v4',
    'gpu-spot-2': 'Standard_NC40ads_H100_v5',
    'gpu-3': 'Standard_NC16as_T4_v3',
  });
});
