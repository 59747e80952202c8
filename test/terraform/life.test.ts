/** The ground as a whole: made by one apply, the same when planned again, gone after destroy. */
import { execFileSync } from 'node:child_process';

import { describe, expect, inject, test } from 'vitest';

import { SIZES, at, ground, list, plan } from './ground.ts';
import { runStub } from './tfstub.ts';

/** Said of every configuration: the tool takes what it cannot know yet for something that is set. */
const FALSE_ALARMS = [
  'azurerm_linux_virtual_machine_scale_set.source_image_id: exactly one of',
  'azurerm_role_assignment.role_definition_id: exactly one of',
];

describe.each(SIZES)('the %s ground', (size) => {
  test('is made by one apply, stays as it is, and destroy leaves nothing', () => {
    const { passed, said } = inject(size);
    expect(said).toContain('PASSED');
    expect(passed).toBe(true);
    const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(said)?.[1]);
    expect(said).toContain('no changes');
    expect(count('created')).toBeGreaterThan(90);
    expect(count('destroyed')).toBe(count('created'));
  });

  test('raises no warning of the tool that means anything', () => {
    const warnings = inject(size)
      .said.split(' warn ')
      .slice(1)
      .filter((warning) => !FALSE_ALARMS.some((alarm) => warning.includes(alarm)));
    expect(warnings).toEqual([]);
  });

  test('is tagged, every resource that can be', () => {
    // A database of Azure Managed Redis has none of its own.
    const taggable = ground(size).resources.filter(
      ({ name, values }) => 'tags' in values && name !== 'managed_redis_database',
    );
    expect(taggable.length).toBeGreaterThan(20);
    expect(
      taggable
        .filter(({ values }) => at(values, 'tags', 'system') !== 'framefleet')
        .map(({ address }) => address),
    ).toEqual([]);
  });

  test('lies in one region and one resource group', () => {
    const { resources, outputs } = ground(size);
    const groups = new Set(resources.map(({ values }) => values['resource_group_name']).filter(Boolean));
    expect([...groups]).toEqual([at(outputs, 'resource_group', 'value')]);
    // That of an app is its environment's, that of a database its cluster's: told by Azure.
    const placed = resources.filter(
      ({ type, name }) => type !== 'azurerm_container_app' && name !== 'managed_redis_database',
    );
    const places = new Set(placed.map(({ values }) => values['location']).filter(Boolean));
    places.delete('global');
    expect([...places]).toEqual([size === 'small' ? 'eastus' : 'westus3']);
  });
});

test('what costs at rest and is not needed is not there unless it is asked for', () => {
  const types = new Set(ground('small').resources.map(({ type }) => type));
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

test('a change of a scale set reimages no machine at work, and providers are registered by name', () => {
  const provider = at(plan('small'), 'configuration', 'provider_config', 'azurerm', 'expressions');
  const machines = at(provider, 'features', 0, 'virtual_machine_scale_set', 0);
  expect(machines).toEqual({
    roll_instances_when_required: { constant_value: false },
    reimage_on_manual_upgrade: { constant_value: false },
  });
  // An owner may make an account, but not read what is in it: the provider is not to try.
  expect(at(provider, 'features', 0, 'storage', 0)).toEqual({
    data_plane_available: { constant_value: false },
  });
  expect(at(provider, 'storage_use_azuread', 'constant_value')).toBe(true);
  expect(at(provider, 'resource_provider_registrations', 'constant_value')).toBe('none');
  expect(list(at(provider, 'resource_providers_to_register', 'constant_value'))).toContain(
    'Microsoft.Compute',
  );
});

test('every file is as terraform fmt writes it', () => {
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
  ['four GPUs a machine', ['gpu_vm_size="Standard_NC64as_T4_v3"']],
  ['on demand only, on disks, in zones', ['kinds=["on-demand"]', 'ephemeral_os_disk=false', 'zones=["3"]']],
  ['spot only, without bounds on money', ['kinds=["spot"]', 'spending_per_hour_max=null']],
  [
    'an image with everything in it, and no way out',
    [
      'nat_gateway=false',
      'worker_image_id="/subscriptions/1/resourceGroups/r/providers/Microsoft.Compute/galleries/g/images/i/versions/1.0.0"',
    ],
  ],
  ['a V100 where there still are some', ['gpu_vm_size="Standard_NC6s_v3"', 'location="jioindiawest"']],
])('can be planned with %s', async (_what, more) => {
  const { said } = await runStub(inject('tool'), { file: 'small.tfvars', more });
  expect(said).toContain('PASSED');
});
