/** The two storage accounts, their containers and queues, their retention and their events. */
import { describe, expect, test } from 'vitest';

import { CONTAINERS, CONTAINER_NAMES, QUEUE_NAMES } from '../../shared/contract/storage-layout.ts';
import { SIZES, at, stateOf, list } from './state.ts';

const ACCOUNTS = ['media', 'system'] as const;

describe.each(SIZES)('the %s configuration', (size) => {
  test.each(ACCOUNTS)('has exactly the containers of the layout in the %s account', (account) => {
    const { values } = stateOf(size).only('azurerm_storage_account', account);
    const made = stateOf(size)
      .ofType('azurerm_storage_container')
      .filter((one) => one.values['storage_account_id'] === values['id'])
      .map((one) => String(one.values['name']));
    expect(made.toSorted()).toEqual(
      CONTAINER_NAMES.filter((name) => CONTAINERS[name] === account).toSorted(),
    );
  });

  test('has the queues of the layout, all in the system account', () => {
    const { values } = stateOf(size).only('azurerm_storage_account', 'system');
    const queues = stateOf(size).ofType('azurerm_storage_queue');
    expect(queues.map((one) => String(one.values['name'])).toSorted()).toEqual([...QUEUE_NAMES].toSorted());
    expect(new Set(queues.map((one) => one.values['storage_account_id']))).toEqual(new Set([values['id']]));
  });

  test.each(ACCOUNTS)('has a %s account without keys, public blobs or public network access', (account) => {
    const { values } = stateOf(size).only('azurerm_storage_account', account);
    expect(values).toMatchObject({
      shared_access_key_enabled: false,
      default_to_oauth_authentication: true,
      local_user_enabled: false,
      allow_nested_items_to_be_public: false,
      cross_tenant_replication_enabled: false,
      https_traffic_only_enabled: true,
      min_tls_version: 'TLS1_2',
      infrastructure_encryption_enabled: true,
      account_kind: 'StorageV2',
    });
    expect(at(values, 'network_rules', 0, 'default_action')).toBe('Deny');
    expect(list(at(values, 'network_rules', 0, 'virtual_network_subnet_ids'))).toHaveLength(2);
    expect(at(values, 'blob_properties', 0, 'container_delete_retention_policy', 0, 'days')).toBe(7);
    const sas = at(values, 'sas_policy', 0);
    expect(at(sas, 'expiration_action')).toBe('Block');
    const days = { small: '07', full: '02' }[size];
    expect(at(sas, 'expiration_period')).toBe(account === 'media' ? `${days}.00:00:00` : '01.00:00:00');
  });

  test('has no public container', () => {
    const containers = stateOf(size).ofType('azurerm_storage_container');
    expect(new Set(containers.map(({ values }) => values['container_access_type']))).toEqual(
      new Set(['private']),
    );
  });
});

test('the system account has no soft delete for blobs, because heartbeats are overwritten constantly', () => {
  const { values } = stateOf('small').only('azurerm_storage_account', 'system');
  expect(list(at(values, 'blob_properties', 0, 'delete_retention_policy'))).toEqual([]);
});

test('external users can reach only the media account', () => {
  const rangesOf = (account: string) =>
    list(at(stateOf('full').only('azurerm_storage_account', account).values, 'network_rules', 0, 'ip_rules'));
  expect(rangesOf('media')).toContain('192.0.2.44');
  expect(rangesOf('system')).not.toContain('192.0.2.44');
  expect(rangesOf('system')).toEqual(expect.arrayContaining(['203.0.113.7', '198.51.100.16/28']));
});

test('leftovers are deleted by age, and sources only if configured', () => {
  const removals = (size: 'small' | 'full') =>
    Object.fromEntries(
      stateOf(size)
        .ofType('azurerm_storage_management_policy')
        .flatMap(({ values }) => list(values['rule']))
        .map((rule) => [
          String(at(rule, 'filters', 0, 'prefix_match', 0)),
          at(rule, 'actions', 0, 'base_blob', 0, 'delete_after_days_since_modification_greater_than'),
        ]),
    );
  const small = {
    'pieces/': 30,
    'scored/': 30,
    'incoming/drop/': 30,
    'share-': 30,
    'logs/': 90,
    'workers/': 7,
    'control/drain/': 7,
  };
  expect(removals('small')).toEqual(small);
  expect(removals('full')).toEqual({
    ...small,
    'pieces/': 20,
    'scored/': 20,
    'logs/': 400,
    'incoming/drop/': 60,
    'share-': 60,
    'incoming/': 60,
    'results/': 60,
  });
});

test('Event Grid reports triggers, dropped videos and partner uploads, and nothing else', () => {
  const subscriptions = stateOf('small').ofType('azurerm_eventgrid_system_topic_event_subscription');
  const begins = '/blobServices/default/containers/incoming/blobs/';
  const filters = subscriptions.map(({ values }) => ({
    types: values['included_event_types'],
    begins: at(values, 'subject_filter', 0, 'subject_begins_with'),
    ends: at(values, 'subject_filter', 0, 'subject_ends_with') ?? null,
    queue: at(values, 'storage_queue_endpoint', 0, 'queue_name'),
    as: at(values, 'delivery_identity', 0, 'type'),
  }));
  const all = { types: ['Microsoft.Storage.BlobCreated'], queue: 'media-events', as: 'UserAssigned' };
  expect(filters).toHaveLength(3);
  expect(filters).toEqual(
    expect.arrayContaining([
      { ...all, begins, ends: '/job.json' },
      { ...all, begins: `${begins}drop/`, ends: null },
      { ...all, begins: '/blobServices/default/containers/share-', ends: null },
    ]),
  );
});
