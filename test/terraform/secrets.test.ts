/** No usable secret is in the state or in the configuration of a program, and nothing is publicly reachable. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, inject, test } from 'vitest';

import { SIZES, at, bootTextOf, environmentOf, stateOf, list } from './state.ts';

/**
 * Values that the provider marks as sensitive: keys that Azure always returns but the services reject (tested below), and values that are
 * not secret.
 */
const HARMLESS = new Map([
  ['azurerm_storage_account', /_access_key$|_connection_string$/],
  ['azurerm_log_analytics_workspace', /_shared_key$/],
  ['azurerm_container_registry', /^admin_password$/],
  ['azurerm_container_app', /^custom_domain_verification_id$/],
  ['azurerm_linux_virtual_machine_scale_set', /^custom_data$/],
]);

describe.each(SIZES)('the %s configuration', (size) => {
  test('has no usable secret in its state', () => {
    const secrets = stateOf(size).resources.flatMap(({ address, type, values, sensitive_values: marks }) =>
      secretsIn(values, marks)
        .filter((name) => HARMLESS.get(type)?.test(name) !== true)
        .map((name) => `${address}.${name}`),
    );
    expect(secrets).toEqual([]);
  });

  test('has no service that accepts the keys in its state', () => {
    const all = stateOf(size);
    const settings = [
      ...all.ofType('azurerm_storage_account').map(({ values }) => values['shared_access_key_enabled']),
      ...all
        .ofType('azurerm_log_analytics_workspace')
        .map(({ values }) => values['local_authentication_enabled']),
      ...all.ofType('azurerm_container_registry').map(({ values }) => values['admin_enabled']),
      ...all.ofType('azurerm_container_registry').map(({ values }) => values['anonymous_pull_enabled']),
    ];
    expect(settings).toEqual([false, false, false, false, false]);
  });

  test('creates the token without storing it in the plan, the state or an output', () => {
    const { values } = stateOf(size).only('azurerm_key_vault_secret', 'scaler_token');
    expect(values['value'] ?? '').toBe('');
    expect(values['value_wo'] ?? null).toBeNull();
    expect(Object.values(stateOf(size).outputs).map(({ sensitive }) => sensitive === true)).not.toContain(
      true,
    );
    const files = ['plan.json', 'state.json'].map((file) =>
      readFileSync(path.join(inject(size).folder, file), 'utf8'),
    );
    expect(files.join('')).not.toMatch(/"result":\s*"[A-Za-z0-9]{48}"/);
  });

  test('passes secrets to programs only as references to the vault', () => {
    const references = stateOf(size)
      .ofType('azurerm_container_app')
      .flatMap(({ values }) => list(values['secret']))
      .map((secret) => [Boolean(at(secret, 'key_vault_secret_id')), at(secret, 'value') ?? '']);
    expect(references.length).toBeGreaterThan(0);
    expect(references.every(([isReference, value]) => isReference === true && value === '')).toBe(true);
    const scaler = stateOf(size).only('azurerm_container_app', 'scaler');
    expect(environmentOf(scaler).secret).toContain('FRAMEFLEET_SCALER_TOKEN');
  });

  test('has no secrets in the boot configuration of instances', () => {
    const texts = stateOf(size).ofType('azurerm_linux_virtual_machine_scale_set').map(bootTextOf);
    expect(texts.join('')).not.toMatch(/AccountKey|SharedAccessSignature|password=|REDIS|TOKEN=/);
  });

  test('has no public address except that of the NAT gateway', () => {
    const all = stateOf(size);
    expect(all.ofType('azurerm_public_ip').map(({ values }) => values['name'])).toEqual(['nat']);
    const machines = all.ofType('azurerm_linux_virtual_machine_scale_set');
    const publicly = machines.flatMap(({ values }) =>
      list(at(values, 'network_interface', 0, 'ip_configuration', 0, 'public_ip_address')),
    );
    expect(publicly).toEqual([]);
    const { values: vault } = all.only('azurerm_key_vault', 'fleet');
    expect(at(vault, 'network_acls', 0)).toMatchObject({ default_action: 'Deny', bypass: 'None' });
    expect(vault['rbac_authorization_enabled']).toBe(true);
    // Azure adds a missing /32, and then every plan would remove it again.
    const ranges = list(at(vault, 'network_acls', 0, 'ip_rules')).map(String);
    expect(ranges).toContain('203.0.113.7/32');
    expect(ranges.filter((range) => !range.includes('/'))).toEqual([]);
  });

  test('only operators can reach the scaler and the page, and nothing else is public', () => {
    const all = stateOf(size);
    const open = Object.fromEntries(
      all
        .ofType('azurerm_container_app')
        .map(({ name, values }) => [name, at(values, 'ingress', 0, 'external_enabled') === true]),
    );
    const isOpen = size === 'full';
    expect(open).toMatchObject({ producer: isOpen, scaler: isOpen });
    expect(Object.values(open).filter(Boolean)).toHaveLength(isOpen ? 2 : 0);
    for (const name of ['scaler', 'producer']) {
      const app = all.only('azurerm_container_app', name).values;
      const rules = list(at(app, 'ingress', 0, 'ip_security_restriction')).map((one) => [
        at(one, 'action'),
        at(one, 'ip_address_range'),
      ]);
      const operators = ['203.0.113.7/32', '198.51.100.16/28'].map((range) => ['Allow', range]);
      expect(rules).toEqual(isOpen ? operators : []);
    }
    // The metrics have another port than the page.
    const { values: producer } = all.only('azurerm_container_app', 'producer');
    expect(at(producer, 'ingress', 0, 'target_port')).toBe(isOpen ? 8081 : 8080);
    const signIns = all.ofType('azapi_resource').filter(({ name }) => name === 'page_sign_in');
    expect(signIns).toHaveLength(isOpen ? 1 : 0);
    expect(JSON.stringify(signIns)).toMatch(isOpen ? /RedirectToLoginPage/ : /^\[\]$/);
    expect(
      all.only('azurerm_container_app_environment', 'fleet').values['internal_load_balancer_enabled'],
    ).toBe(!isOpen);
  });
});

test('Azure copies the key of Azure Managed Redis, which has only a private endpoint', () => {
  const all = stateOf('full');
  const cluster = all.only('azapi_resource', 'managed_redis').values;
  const database = all.only('azapi_resource', 'managed_redis_database').values;
  expect(at(cluster, 'body', 'properties', 'publicNetworkAccess')).toBe('Disabled');
  expect(at(database, 'body', 'properties')).toMatchObject({
    evictionPolicy: 'NoEviction',
    clusteringPolicy: 'EnterpriseCluster',
    clientProtocol: 'Encrypted',
  });
  const { values } = all.only('azurerm_resource_group_template_deployment', 'redis_url');
  const template: unknown = JSON.parse(String(values['template_content']));
  const copied = list(at(template, 'resources')).map((secret) => [
    at(secret, 'name'),
    at(secret, 'properties', 'value'),
  ]);
  const key = "listKeys(parameters('database'), '2025-07-01').primaryKey";
  expect(Object.fromEntries(copied)).toEqual({
    "[concat(parameters('vault'), '/redis-password')]": `[${key}]`,
    "[concat(parameters('vault'), '/redis-url')]": `[concat('rediss://:', uriComponent(${key}), '@', parameters('address'))]`,
  });
  // An output of the template would be in the state.
  expect(at(template, 'outputs')).toBeUndefined();
  expect(all.ofType('azurerm_container_app').map(({ name }) => name)).not.toContain('redis');
});

/** The paths of non-empty values that are marked as sensitive. */
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
