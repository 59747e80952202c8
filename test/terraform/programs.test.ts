/** The environment of the programs: every variable that they read, with values that they accept. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { producerConfig } from '../../producer/config.ts';
import { scalerConfig } from '../../scaler/config.ts';
import { workerConfig } from '../../worker/config.ts';
import {
  type PlainVariables,
  SIZES,
  type Size,
  at,
  bootTextOf,
  environmentOf,
  stateOf,
  list,
} from './state.ts';

/** Added by the instance at boot. */
const ADDED_AT_BOOT = ['FRAMEFLEET_GPU', 'FRAMEFLEET_VM_ID', 'FRAMEFLEET_VM_NAME'];
/** Omitted: each worker uses a free port, because several share an instance, and their metrics are not scraped. */
const WORKER_OMITS = ['FRAMEFLEET_HTTP_PORT'];
/** Omitted: an alternative to FRAMEFLEET_SCALER_TOKEN. */
const SCALER_OMITS = ['FRAMEFLEET_SCALER_TOKEN_FILE'];
/** Selects the managed identity for the Azure SDKs. */
const AZURE_VARIABLE = 'AZURE_CLIENT_ID';

function variablesOf(...files: readonly string[]): readonly string[] {
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  return [...new Set(text.match(/FRAMEFLEET_[A-Z_]*[A-Z]/g) ?? [])].toSorted();
}

const readBy = (room: string): readonly string[] =>
  variablesOf(`${room}/config.ts`, 'shared/runtime/service-variables.ts').filter(
    (name) => name !== 'FRAMEFLEET_FLEET_',
  );

const passedTo = (room: 'producer' | 'scaler', size: Size) =>
  environmentOf(stateOf(size).only('azurerm_container_app', room));

/** The variables in the environment file of an instance. */
function workerVariables(size: Size): PlainVariables {
  const [scaleSet] = stateOf(size).ofType('azurerm_linux_virtual_machine_scale_set');
  const text = scaleSet === undefined ? '' : bootTextOf(scaleSet);
  return Object.fromEntries(
    [...text.matchAll(/^ +([A-Z_]+)=(\S*)$/gm)].map(([, name, value]) => [name, value]),
  );
}

test('the producer gets exactly the variables that it reads', () => {
  const { plain, secret } = passedTo('producer', 'full');
  // The platform signs people in.
  const read = readBy('producer').filter((name) => name !== 'FRAMEFLEET_PAGE_TOKEN');
  expect([...Object.keys(plain), ...secret].toSorted()).toEqual([AZURE_VARIABLE, ...read]);
});

test('a worker gets exactly the variables that it reads', () => {
  const passed = [...Object.keys(workerVariables('full')), ...ADDED_AT_BOOT, ...WORKER_OMITS];
  expect(passed.toSorted()).toEqual([AZURE_VARIABLE, ...readBy('worker')]);
});

test('the scaler gets exactly the variables that it reads, and its own URL', () => {
  const { plain, secret } = passedTo('scaler', 'full');
  const read = [AZURE_VARIABLE, ...readBy('scaler'), 'FRAMEFLEET_SCALER_URL'];
  expect([...Object.keys(plain), ...secret, ...SCALER_OMITS].toSorted()).toEqual(read.toSorted());
});

describe.each(SIZES)('in the %s configuration', (size) => {
  test('the producer accepts its variables', () => {
    const { plain } = passedTo('producer', size);
    const config = producerConfig({ FRAMEFLEET_REDIS_URL: 'rediss://:key@redis:10000', ...plain });
    expect(config).toMatchObject({ http: { host: '0.0.0.0', port: 8080 }, workFolder: '/work' });
  });

  test('a worker accepts its variables and never falls back to the CPU', () => {
    const config = workerConfig({
      FRAMEFLEET_VM_ID: 'vm',
      FRAMEFLEET_VM_NAME: 'gpu_0',
      ...workerVariables(size),
    });
    expect(config.executionProviders).not.toContain('cpu');
    expect(config.scheduledEventsUrl).toContain('http://169.254.169.254/metadata/scheduledevents');
    expect(config.leaseSeconds).toBe(size === 'small' ? 60 : 90);
  });

  test('the scaler accepts its variables', () => {
    const { plain } = passedTo('scaler', size);
    const environment = { FRAMEFLEET_REDIS_URL: 'rediss://:key@redis:10000', ...plain };
    expect(scalerConfig(environment).policy.capacityMax).toBe(size === 'small' ? 10 : 40);
  });

  test('the scaler gets the name, kind, order and price of the scale sets', () => {
    const { plain } = passedTo('scaler', size);
    const names = list(at(stateOf(size).outputs, 'scale_sets', 'value')).map(String);
    const kind = (name: string) => (name.startsWith('gpu-spot') ? 'spot' : 'on-demand');
    expect(plain['FRAMEFLEET_SCALE_SETS']).toBe(names.map((name) => `${name}:${kind(name)}`).join(','));
    expect(plain['FRAMEFLEET_PRICES']).toBe(
      size === 'small'
        ? 'gpu-spot=0.063,gpu=0.526'
        : 'gpu-spot=0.9,gpu-spot-2=2.09,gpu-spot-3=0.144,gpu=3.673,gpu-2=6.98,gpu-3=1.204',
    );
  });

  test('the output env has the settings of the npm commands, without secrets', () => {
    const env = String(at(stateOf(size).outputs, 'env', 'value'));
    const lines = env.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const media = stateOf(size).only('azurerm_storage_account', 'media').values['name'];
    const system = stateOf(size).only('azurerm_storage_account', 'system').values['name'];
    expect(lines.slice(0, 2)).toEqual([
      `FRAMEFLEET_MEDIA_STORAGE=${String(media)}`,
      `FRAMEFLEET_SYSTEM_STORAGE=${String(system)}`,
    ]);
    const { plain } = passedTo('scaler', size);
    const same = ['SUBSCRIPTION_ID', 'RESOURCE_GROUP', 'SCALE_SETS', 'CAPACITY_MAX'].map(
      (name) => `FRAMEFLEET_${name}=${plain[`FRAMEFLEET_${name}`]}`,
    );
    expect(lines.slice(2, 6)).toEqual(same);
    expect(lines.slice(6).map((line) => line.split('=')[0])).toEqual(
      size === 'full' ? ['FRAMEFLEET_SCALER_URL'] : [],
    );
  });

  test('each program has a replica, health probes and a grace period, and only the producer has more', () => {
    const apps = stateOf(size)
      .ofType('azurerm_container_app')
      .filter(({ name }) => name !== 'redis');
    const shapes = apps.map(({ name, values }) => ({
      name,
      replicas: [at(values, 'template', 0, 'min_replicas'), at(values, 'template', 0, 'max_replicas')],
      live: at(values, 'template', 0, 'container', 0, 'liveness_probe', 0, 'path'),
      ready: at(values, 'template', 0, 'container', 0, 'readiness_probe', 0, 'path'),
      graceSeconds: at(values, 'template', 0, 'termination_grace_period_seconds'),
    }));
    const shape = { live: '/health/live', ready: '/health/ready', graceSeconds: 30 };
    expect(shapes).toEqual([
      { name: 'producer', replicas: [1, size === 'small' ? 3 : 5], ...shape },
      { name: 'scaler', replicas: [1, 1], ...shape },
    ]);
  });

  test('the producer has as many replicas as steps of a kind run, which KEDA counts in Redis', () => {
    const { values } = stateOf(size).only('azurerm_container_app', 'producer');
    const rules = list(at(values, 'template', 0, 'custom_scale_rule')).map((rule) => [
      at(rule, 'custom_rule_type'),
      at(rule, 'metadata', 'listName'),
      at(rule, 'metadata', 'listLength'),
    ]);
    expect(rules).toEqual([
      ['redis', 'bull:framefleet-split:active', '1'],
      ['redis', 'bull:framefleet-stitch:active', '1'],
    ]);
    // BullMQ makes these names of those of the queues.
    expect(readFileSync('producer/jobs/steps.ts', 'utf8')).toMatch(/return `framefleet-\$\{step\}`/);
  });
});

test('KEDA reaches the Redis container without a password', () => {
  const { values } = stateOf('small').only('azurerm_container_app', 'producer');
  for (const rule of list(at(values, 'template', 0, 'custom_scale_rule'))) {
    expect(at(rule, 'metadata')).toMatchObject({ address: 'redis:6379' });
    expect(at(rule, 'metadata', 'enableTLS')).toBeUndefined();
    expect(at(rule, 'authentication')).toEqual([]);
  }
  expect(list(values['secret'])).toEqual([]);
});

test('KEDA reaches Azure Managed Redis with TLS and a password that the program does not get', () => {
  const producer = stateOf('full').only('azurerm_container_app', 'producer');
  const host = at(
    stateOf('full').only('azapi_resource', 'managed_redis').values,
    'output',
    'properties',
    'hostName',
  );
  for (const rule of list(at(producer.values, 'template', 0, 'custom_scale_rule'))) {
    expect(at(rule, 'metadata')).toMatchObject({ address: `${String(host)}:10000`, enableTLS: 'true' });
    expect(at(rule, 'authentication')).toEqual([
      { secret_name: 'redis-password', trigger_parameter: 'password' },
    ]);
  }
  const secrets = list(producer.values['secret']).map((secret) => [
    at(secret, 'name'),
    String(at(secret, 'key_vault_secret_id')).split('/').at(-1),
  ]);
  expect(Object.fromEntries(secrets)).toEqual({
    'redis-url': 'redis-url',
    'redis-password': 'redis-password',
    'scaler-token': 'scaler-token',
  });
  expect(environmentOf(producer).secret.toSorted()).toEqual([
    'FRAMEFLEET_REDIS_URL',
    'FRAMEFLEET_SCALER_TOKEN',
  ]);
});

test('no probe exceeds the failure threshold that Azure allows', () => {
  const thresholds = stateOf('small')
    .ofType('azurerm_container_app')
    .flatMap(({ values }) =>
      ['startup_probe', 'liveness_probe', 'readiness_probe'].map((probe) =>
        Number(at(values, 'template', 0, 'container', 0, probe, 0, 'failure_count_threshold') ?? 3),
      ),
    );
  expect(Math.max(...thresholds)).toBeLessThanOrEqual(10);
});

test('images are pinned by the hash of the sources or by the given tag', () => {
  const images = (size: Size) =>
    stateOf(size)
      .ofType('azurerm_container_app')
      .map(({ values }) => String(at(values, 'template', 0, 'container', 0, 'image')));
  expect(images('full').every((image) => image.endsWith(':1.4.0'))).toBe(true);
  expect(images('small').filter((image) => /:[0-9a-f]{12}$/.test(image))).toHaveLength(2);
  expect([...images('small'), ...images('full')].filter((image) => /:latest$|\/[^:]+$/.test(image))).toEqual(
    [],
  );
});
