/** The whole configuration: one apply creates it, a second plan is empty, and destroy removes everything. */
import { execFileSync } from 'node:child_process';

import { describe, expect, inject, test } from 'vitest';

import { SIZES, at, stateOf, list, plan } from './state.ts';
import { runStub } from './tfstub.ts';

/** Warnings of the stub tool for every configuration: it treats values that are unknown at plan time as set. */
const FALSE_ALARMS = [
  'azurerm_linux_virtual_machine_scale_set.source_image_id: exactly one of',
  'azurerm_role_assignment.role_definition_id: exactly one of',
];

/** A database of Azure Managed Redis and the sign-in of an app have no tags, and the location of what they belong to. */
const PARTS_OF_OTHERS = new Set(['managed_redis_database', 'page_sign_in']);

describe.each(SIZES)('the %s configuration', (size) => {
  test('is created by one apply, does not change in a second plan, and is fully destroyed', () => {
    const { passed, output } = inject(size);
    expect(output).toContain('PASSED');
    expect(passed).toBe(true);
    const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(output)?.[1]);
    expect(output).toContain('no changes');
    expect(count('created')).toBeGreaterThan(90);
    expect(count('destroyed')).toBe(count('created'));
  });

  test('causes no warnings except known false alarms', () => {
    const warnings = inject(size)
      .output.split(' warn ')
      .slice(1)
      .filter((warning) => !FALSE_ALARMS.some((alarm) => warning.includes(alarm)));
    expect(warnings).toEqual([]);
  });

  test('has tags on every resource that supports them', () => {
    const taggable = stateOf(size).resources.filter(
      ({ name, values }) => 'tags' in values && !PARTS_OF_OTHERS.has(name),
    );
    expect(taggable.length).toBeGreaterThan(20);
    expect(
      taggable
        .filter(({ values }) => at(values, 'tags', 'system') !== 'framefleet')
        .map(({ address }) => address),
    ).toEqual([]);
  });

  test('is in one region and one resource group', () => {
    const { resources, outputs } = stateOf(size);
    const groups = new Set(resources.map(({ values }) => values['resource_group_name']).filter(Boolean));
    expect([...groups]).toEqual([at(outputs, 'resource_group', 'value')]);
    // An app takes the location of its environment.
    const placed = resources.filter(
      ({ type, name }) => type !== 'azurerm_container_app' && !PARTS_OF_OTHERS.has(name),
    );
    const places = new Set(placed.map(({ values }) => values['location']).filter(Boolean));
    places.delete('global');
    expect([...places]).toEqual([size === 'small' ? 'eastus' : 'westus3']);
  });
});

test('optional resources that cost money are off by default', () => {
  const types = new Set(stateOf('small').resources.map(({ type }) => type));
  expect(
    [
      'azapi_resource',
      'azurerm_private_endpoint',
      'azurerm_monitor_scheduled_query_rules_alert_v2',
      'azurerm_monitor_metric_alert',
      'azurerm_consumption_budget_resource_group',
      'azurerm_lb',
      'azurerm_managed_redis',
    ].filter((type) => types.has(type)),
  ).toEqual([]);
});

test('a change of a scale set reimages no running instance, and providers are registered explicitly', () => {
  const provider = at(plan('small'), 'configuration', 'provider_config', 'azurerm', 'expressions');
  const machines = at(provider, 'features', 0, 'virtual_machine_scale_set', 0);
  expect(machines).toEqual({
    roll_instances_when_required: { constant_value: false },
    reimage_on_manual_upgrade: { constant_value: false },
  });
  // An owner can create an account but not read its contents, so the provider must not try.
  expect(at(provider, 'features', 0, 'storage', 0)).toEqual({
    data_plane_available: { constant_value: false },
  });
  expect(at(provider, 'storage_use_azuread', 'constant_value')).toBe(true);
  expect(at(provider, 'resource_provider_registrations', 'constant_value')).toBe('none');
  expect(list(at(provider, 'resource_providers_to_register', 'constant_value'))).toContain(
    'Microsoft.Compute',
  );
});

test('every file is formatted by terraform fmt', () => {
  const unformatted = execFileSync(
    'terraform',
    ['fmt', '-check', '-list=true', '-recursive', 'infra/terraform'],
    {
      encoding: 'utf8',
    },
  );
  expect(unformatted).toBe('');
});

test.each([
  ['four GPUs per instance', ['gpu_vm_size="Standard_NC64as_T4_v3"']],
  [
    'on-demand instances only, managed OS disks and zones',
    ['kinds=["on-demand"]', 'ephemeral_os_disk=false', 'zones=["3"]'],
  ],
  ['spot instances only and no spending limit', ['kinds=["spot"]', 'spending_per_hour_max=null']],
  [
    'a machine image and no NAT gateway',
    [
      'nat_gateway=false',
      'worker_image_id="/subscriptions/1/resourceGroups/r/providers/Microsoft.Compute/galleries/g/images/i/versions/1.0.0"',
    ],
  ],
  ['a V100 in a region that offers it', ['gpu_vm_size="Standard_NC6s_v3"', 'location="jioindiawest"']],
])('can be planned with %s', async (_what, more) => {
  const { output } = await runStub(inject('tool'), { file: 'small.tfvars', more });
  expect(output).toContain('PASSED');
});
