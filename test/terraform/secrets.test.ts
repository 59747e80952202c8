/** No key and no secret, in the state or on the way to a program; and no door to the world. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, inject, test } from 'vitest';

import { SIZES, at, bootTextOf, environmentOf, ground, list } from './ground.ts';

/**
 * What Azure hands out whether one wants it or not, of services that refuse it: see the tests of the accounts. The identifiers of
 * apps and a machine's start are held to be sensitive, and are not.
 */
const DEAD_OR_PLAIN = new Map([
  ['azurerm_storage_account', /_access_key$|_connection_string$/],
  ['azurerm_log_analytics_workspace', /_shared_key$/],
  ['azurerm_container_registry', /^admin_password$/],
  ['azurerm_container_app', /^custom_domain_verification_id$/],
  ['azurerm_linux_virtual_machine_scale_set', /^custom_data$/],
]);

describe.each(SIZES)('the %s ground', (size) => {
  test('has no secret in its state that would open anything', () => {
    const secrets = ground(size).resources.flatMap(({ address, type, values, sensitive_values: marks }) =>
      secretsIn(values, marks)
        .filter((name) => DEAD_OR_PLAIN.get(type)?.test(name) !== true)
        .map((name) => `${address}.${name}`),
    );
    expect(secrets).toEqual([]);
  });

  test('has no service that would take what is in its state', () => {
    const all = ground(size);
    const refusing = [
      ...all.ofType('azurerm_storage_account').map(({ values }) => values['shared_access_key_enabled']),
      ...all
        .ofType('azurerm_log_analytics_workspace')
        .map(({ values }) => values['local_authentication_enabled']),
      ...all.ofType('azurerm_container_registry').map(({ values }) => values['admin_enabled']),
      ...all.ofType('azurerm_container_registry').map(({ values }) => values['anonymous_pull_enabled']),
    ];
    expect(refusing).toEqual([false, false, false, false, false]);
  });

  test('makes the token without ever knowing it: not in the plan, the state or an output', () => {
    const { values } = ground(size).only('azurerm_key_vault_secret', 'scaler_token');
    expect(values['value'] ?? '').toBe('');
    expect(values['value_wo'] ?? null).toBeNull();
    expect(Object.values(ground(size).outputs).map(({ sensitive }) => sensitive === true)).not.toContain(
      true,
    );
    const made = ['plan.json', 'state.json'].map((file) =>
      readFileSync(path.join(inject(size).folder, file), 'utf8'),
    );
    expect(made.join('')).not.toMatch(/"result":\s*"[A-Za-z0-9]{48}"/);
  });

  test('gives programs their secrets by reference to the vault only', () => {
    const references = ground(size)
      .ofType('azurerm_container_app')
      .flatMap(({ values }) => list(values['secret']))
      .map((secret) => [Boolean(at(secret, 'key_vault_secret_id')), at(secret, 'value') ?? '']);
    expect(references.length).toBeGreaterThan(0);
    expect(references.every(([isReference, value]) => isReference === true && value === '')).toBe(true);
    const scaler = ground(size).only('azurerm_container_app', 'scaler');
    expect(environmentOf(scaler).secret).toContain('FRAMEFLEET_SCALER_TOKEN');
  });

  test('tells machines nothing that must not be read', () => {
    const texts = ground(size).ofType('azurerm_linux_virtual_machine_scale_set').map(bootTextOf);
    expect(texts.join('')).not.toMatch(/AccountKey|SharedAccessSignature|password=|REDIS|TOKEN=/);
  });

  test('has no public address but the way out', () => {
    const all = ground(size);
    expect(all.ofType('azurerm_public_ip').map(({ values }) => values['name'])).toEqual(['nat']);
    const machines = all.ofType('azurerm_linux_virtual_machine_scale_set');
    const publicly = machines.flatMap(({ values }) =>
      list(at(values, 'network_interface', 0, 'ip_configuration', 0, 'public_ip_address')),
    );
    expect(publicly).toEqual([]);
    const { values: vault } = all.only('azurerm_key_vault', 'fleet');
    expect(at(vault, 'network_acls', 0)).toMatchObject({ default_action: 'Deny', bypass: 'None' });
    expect(vault['rbac_authorization_enabled']).toBe(true);
    // Azure adds /32 to an address that has none, and then every plan would take it away again.
    const doors = list(at(vault, 'network_acls', 0, 'ip_rules')).map(String);
    expect(doors).toContain('203.0.113.7/32');
    expect(doors.filter((door) => !door.includes('/'))).toEqual([]);
  });

  test('lets nobody but operators reach the scaler, and nobody the others', () => {
    const all = ground(size);
    const open = Object.fromEntries(
      all
        .ofType('azurerm_container_app')
        .map(({ name, values }) => [name, at(values, 'ingress', 0, 'external_enabled') === true]),
    );
    const isOpen = size === 'full';
    expect(open).toMatchObject({ producer: false, scaler: isOpen });
    expect(Object.values(open).filter(Boolean)).toHaveLength(isOpen ? 1 : 0);
    const scaler = all.only('azurerm_container_app', 'scaler').values;
    const doors = list(at(scaler, 'ingress', 0, 'ip_security_restriction')).map((one) => [
      at(one, 'action'),
      at(one, 'ip_address_range'),
    ]);
    expect(doors).toEqual(
      isOpen
        ? [
            ['Allow', '203.0.113.7/32'],
            ['Allow', '198.51.100.16/28'],
          ]
        : [],
    );
    expect(
      all.only('azurerm_container_app_environment', 'fleet').values['internal_load_balancer_enabled'],
    ).toBe(!isOpen);
  });
});

test('the key of Azure Managed Redis is copied by Azure itself, and Redis has a private door only', () => {
  const all = ground('full');
  const cluster = all.only('azapi_resource', 'managed_redis').values;
  const database = all.only('azapi_resource', 'managed_redis_database').values;
  expect(at(cluster, 'body', 'properties', 'publicNetworkAccess')).toBe('Disabled');
  expect(at(database, 'body', 'properties')).toMatchObject({
    evictionPolicy: 'NoEviction',
    clusteringPolicy: 'EnterpriseCluster',
    clientProtocol: 'Encrypted',
  });
  const { values } = all.only('azurerm_resource_group_template_deployment', 'redis_url');
  expect(String(values['template_content'])).toContain('listKeys(parameters');
  expect(all.ofType('azurerm_container_app').map(({ name }) => name)).not.toContain('redis');
});

/** Paths of values that are marked as sensitive and hold something. */
function secretsIn(value: unknown, marks: unknown): readonly string[] {
  if (marks === true) return isEmpty(value) ? [] : [''];
  if (typeof marks !== 'object' || marks === null) return [];
  return Object.entries(marks).flatMap(([name, inner]) =>
    secretsIn(at(value, name), inner).map((rest) => (rest === '' ? name : `${name}.${rest}`)),
  );
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || ['""', '{}', '[]'].includes(JSON.stringify(value));
}
