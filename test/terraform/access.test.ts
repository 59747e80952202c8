/** The role assignments of every identity: exactly the access table, and nothing more. */
import { expect, test } from 'vitest';

import { type TerraformState, type Resource, at, stateOf, list } from './state.ts';

const READ = 'Storage Blob Data Reader';
const WRITE = 'Storage Blob Data Contributor';
const SEND = 'Storage Queue Data Message Sender';
const COUNT = 'Storage Queue Data Reader';

const PRODUCER = [
  `${WRITE}: control`,
  `${WRITE}: incoming`,
  `${WRITE}: logs`,
  `${WRITE}: pieces`,
  `${WRITE}: results`,
  `${WRITE}: scored`,
  `${READ}: models`,
  `${SEND}: frame-batches`,
  'hold leases: frame-batches',
  'hold leases: frame-batches-poison',
  'hold leases: batch-results',
  'hold leases: media-events',
  'take from partners: the media account, in shares',
  'AcrPull: the registry',
];
const WORKER = [
  `${READ}: control`,
  `${READ}: models`,
  `${READ}: pieces`,
  `${WRITE}: logs`,
  `${WRITE}: scored`,
  `${WRITE}: workers`,
  `${SEND}: batch-results`,
  `${SEND}: frame-batches-poison`,
  'hold leases: frame-batches',
  'AcrPull: the registry',
];
const SCALER = [
  `${WRITE}: control`,
  `${WRITE}: logs`,
  `${WRITE}: workers`,
  `${COUNT}: frame-batches`,
  'make machines: subnet workers',
  'make machines: identity worker',
  'Key Vault Secrets User: scaler-token',
  'AcrPull: the registry',
];
const EVENTS = [`${SEND}: media-events`];
const OPERATOR = [
  `${WRITE}: control`,
  `${WRITE}: incoming`,
  `${WRITE}: logs`,
  `${WRITE}: models`,
  `${WRITE}: results`,
  `${READ}: workers`,
  `${SEND}: frame-batches`,
  'hold leases: frame-batches-poison',
  'Storage Blob Delegator: the media account',
  `${WRITE}: the media account, in shares`,
  'Key Vault Secrets User: scaler-token',
];
const TERRAFORM_USER = ['Key Vault Secrets Officer: the vault'];
const UPLOADER = [`${WRITE}: incoming`, `${READ}: results`];

test('the small configuration grants exactly the access table', () => {
  expect(accessIn(stateOf('small'))).toEqual({
    producer: PRODUCER.toSorted(),
    worker: WORKER.toSorted(),
    scaler: [...SCALER, 'scale: scale set gpu', 'scale: scale set gpu-spot'].toSorted(),
    events: EVENTS,
    // No operators are set, so the identity that runs Terraform is the operator.
    'the Terraform user': [...OPERATOR, ...TERRAFORM_USER].toSorted(),
  });
});

test('the full configuration grants the same access to each operator and uploader, and lets programs read the secrets of Redis', () => {
  const scaleSets = ['gpu-spot', 'gpu-spot-2', 'gpu-spot-3', 'gpu', 'gpu-2', 'gpu-3'];
  const redis = 'Key Vault Secrets User: redis-url';
  const redisPassword = 'Key Vault Secrets User: redis-password';
  expect(accessIn(stateOf('full'))).toEqual({
    // The page shows heartbeats, and reaches the scaler with its token.
    producer: [
      ...PRODUCER,
      redis,
      redisPassword,
      `${READ}: workers`,
      'Key Vault Secrets User: scaler-token',
    ].toSorted(),
    worker: WORKER.toSorted(),
    scaler: [...SCALER, redis, ...scaleSets.map((name) => `scale: scale set ${name}`)].toSorted(),
    events: EVENTS,
    'aaaaaaaa-0000-0000-0000-000000000001': OPERATOR.toSorted(),
    'aaaaaaaa-0000-0000-0000-000000000002': OPERATOR.toSorted(),
    'bbbbbbbb-0000-0000-0000-000000000001': UPLOADER.toSorted(),
    'the Terraform user': TERRAFORM_USER,
  });
});

test('custom roles allow only the expected actions, within the resource group', () => {
  const roles = stateOf('small').ofType('azurerm_role_definition');
  const queue = 'Microsoft.Storage/storageAccounts/queueServices/queues';
  const scaleSet = 'Microsoft.Compute/virtualMachineScaleSets';
  const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
  const allowed = Object.fromEntries(
    roles.map(({ name, values }) => [
      name,
      [
        ...list(at(values, 'permissions', 0, 'actions')),
        ...list(at(values, 'permissions', 0, 'data_actions')),
      ]
        .map(String)
        .toSorted(),
    ]),
  );
  expect(allowed).toEqual({
    hold_leases: [
      `${queue}/messages/delete`,
      `${queue}/messages/process/action`,
      `${queue}/messages/read`,
      `${queue}/messages/write`,
      `${queue}/read`,
    ],
    take_from_partners: [`${blobs}/delete`, `${blobs}/read`],
    scale: [
      `${scaleSet}/delete/action`,
      `${scaleSet}/instanceView/read`,
      `${scaleSet}/read`,
      `${scaleSet}/virtualMachines/instanceView/read`,
      `${scaleSet}/virtualMachines/read`,
      `${scaleSet}/write`,
    ],
    make_machines: [
      'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action',
      'Microsoft.ManagedIdentity/userAssignedIdentities/read',
      'Microsoft.Network/virtualNetworks/subnets/join/action',
    ],
  });
  expect(new Set(roles.map(({ values }) => values['scope']))).toEqual(
    new Set([stateOf('small').only('azurerm_resource_group', 'fleet').values['id']]),
  );
});

test('instances reach only storage and the registry, and accept no connections', () => {
  const rules = list(
    stateOf('small').only('azurerm_network_security_group', 'workers').values['security_rule'],
  );
  const lines = rules
    .map((rule) =>
      ['priority', 'direction', 'access', 'destination_address_prefix', 'destination_port_range']
        .map((field) => String(at(rule, field)))
        .join(' '),
    )
    .toSorted();
  expect(lines).toEqual([
    '100 Inbound Deny * *',
    '100 Outbound Allow Storage 443',
    '101 Outbound Allow AzureContainerRegistry 443',
    '200 Outbound Deny * *',
  ]);
});

/** The assignments of each identity, as `role: scope`. */
function accessIn(all: TerraformState): Readonly<Record<string, readonly string[]>> {
  const identities = new Map(
    all
      .ofType('azurerm_user_assigned_identity')
      .map(({ values }) => [values['principal_id'], String(values['name'])]),
  );
  const roles = new Map(
    all
      .ofType('azurerm_role_definition')
      .map(({ name, values }) => [values['role_definition_resource_id'], name.replaceAll('_', ' ')]),
  );
  const named = /^[ab]{8}-/;
  const lines = all.ofType('azurerm_role_assignment').map(({ values }) => {
    const principal = String(values['principal_id']);
    const who = identities.get(principal) ?? (named.test(principal) ? principal : 'the Terraform user');
    const role = roles.get(values['role_definition_id']) ?? String(values['role_definition_name']);
    const place = placeOf(all, String(values['scope']));
    return { who, line: `${role}: ${place}${placeWithin(role, values['condition'])}` };
  });
  const identityNames = [...new Set(lines.map(({ who }) => who))];
  return Object.fromEntries(
    identityNames.map((who) => [
      who,
      lines
        .filter((one) => one.who === who)
        .map(({ line }) => line)
        .toSorted(),
    ]),
  );
}

/** Checks that the condition covers every data action of the role: Azure does not apply a condition to an action that it omits. */
function placeWithin(role: string, condition: unknown): string {
  if (typeof condition !== 'string') return '';
  const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
  const actions =
    role === WRITE ? ['read', 'write', 'add/action', 'delete', 'move/action'] : ['read', 'delete'];
  const none = actions.map((action) => `!(ActionMatches{'${blobs}/${action}'})`);
  const named =
    "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringStartsWith 'share-'";
  expect(condition).toBe(`((${none.join(' AND ')}) OR (${named}))`);
  return ', in shares';
}

function placeOf(all: TerraformState, scope: string): string {
  const is = (resource: Resource | undefined): boolean => resource?.values['id'] === scope;
  if (is(all.only('azurerm_container_registry', 'fleet'))) return 'the registry';
  if (is(all.only('azurerm_storage_account', 'media'))) return 'the media account';
  if (is(all.only('azurerm_key_vault', 'fleet'))) return 'the vault';
  const token = all.only('azurerm_key_vault_secret', 'scaler_token');
  if (token.values['resource_versionless_id'] === scope) return 'scaler-token';
  const last = scope.slice(scope.lastIndexOf('/') + 1);
  if (scope.includes('/virtualMachineScaleSets/')) return `scale set ${last}`;
  if (scope.includes('/subnets/')) return `subnet ${last}`;
  if (scope.includes('/userAssignedIdentities/')) return `identity ${last}`;
  if (/\/(containers|queues|secrets)\/[^/]+$/.test(scope)) return last;
  return scope;
}
