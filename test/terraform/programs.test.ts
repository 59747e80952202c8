/** What the programs are told: every variable they read, in a form that they take. */
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
  ground,
  list,
} from './ground.ts';

/** What a machine adds of itself when it starts. */
const OF_THE_MACHINE = ['FRAMEFLEET_GPU', 'FRAMEFLEET_VM_ID', 'FRAMEFLEET_VM_NAME'];
/** Any free port: several workers share a machine, and nobody gathers metrics there. */
const WORKER_LEAVES = ['FRAMEFLEET_HTTP_PORT'];
/** Another way to say FRAMEFLEET_SCALER_TOKEN. */
const SCALER_LEAVES = ['FRAMEFLEET_SCALER_TOKEN_FILE'];
/** Who is meant, for Azure's own libraries. */
const AZURE_READS = 'AZURE_CLIENT_ID';

function variablesOf(...files: readonly string[]): readonly string[] {
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  return [...new Set(text.match(/FRAMEFLEET_[A-Z_]*[A-Z]/g) ?? [])].toSorted();
}

const readBy = (room: string): readonly string[] =>
  variablesOf(`${room}/config.ts`, 'shared/runtime/service-variables.ts').filter(
    (name) => name !== 'FRAMEFLEET_FLEET_',
  );

const passedTo = (room: 'producer' | 'scaler', size: Size) =>
  environmentOf(ground(size).only('azurerm_container_app', room));

/** Of a machine, as its unit reads them. */
function workerVariables(size: Size): PlainVariables {
  const [scaleSet] = ground(size).ofType('azurerm_linux_virtual_machine_scale_set');
  const text = scaleSet === undefined ? '' : bootTextOf(scaleSet);
  return Object.fromEntries(
    [...text.matchAll(/^ +([A-Z_]+)=(\S*)$/gm)].map(([, name, value]) => [name, value]),
  );
}

test('the producer is told every variable it reads, and no other', () => {
  const { plain, secret } = passedTo('producer', 'full');
  expect([...Object.keys(plain), ...secret].toSorted()).toEqual([AZURE_READS, ...readBy('producer')]);
});

test('a worker is told every variable it reads, and no other', () => {
  const told = [...Object.keys(workerVariables('full')), ...OF_THE_MACHINE, ...WORKER_LEAVES];
  expect(told.toSorted()).toEqual([AZURE_READS, ...readBy('worker')]);
});

test('the scaler is told every variable it reads, and where it is itself', () => {
  const { plain, secret } = passedTo('scaler', 'full');
  const read = [AZURE_READS, ...readBy('scaler'), 'FRAMEFLEET_SCALER_URL'];
  expect([...Object.keys(plain), ...secret, ...SCALER_LEAVES].toSorted()).toEqual(read.toSorted());
});

describe.each(SIZES)('in the %s ground', (size) => {
  test('the producer takes what it is told', () => {
    const { plain } = passedTo('producer', size);
    const config = producerConfig({ FRAMEFLEET_REDIS_URL: 'rediss://:key@redis:10000', ...plain });
    expect(config).toMatchObject({ http: { host: '0.0.0.0', port: 8080 }, workFolder: '/work' });
  });

  test('a worker takes what it is told, and never falls back to the CPU', () => {
    const config = workerConfig({
      FRAMEFLEET_VM_ID: 'vm',
      FRAMEFLEET_VM_NAME: 'gpu_0',
      ...workerVariables(size),
    });
    expect(config.executionProviders).not.toContain('cpu');
    expect(config.scheduledEventsUrl).toContain('http://169.254.169.254/metadata/scheduledevents');
    expect(config.leaseSeconds).toBe(size === 'small' ? 60 : 90);
  });

  test('the scaler takes what it is told', () => {
    const { plain } = passedTo('scaler', size);
    const told = { FRAMEFLEET_REDIS_URL: 'rediss://:key@redis:10000', ...plain };
    expect(scalerConfig(told).policy.capacityMax).toBe(size === 'small' ? 10 : 40);
  });

  test('the scaler knows the scale sets by name and kind, in order, and what each costs', () => {
    const { plain } = passedTo('scaler', size);
    const names = list(at(ground(size).outputs, 'scale_sets', 'value')).map(String);
    const kind = (name: string) => (name.startsWith('gpu-spot') ? 'spot' : 'on-demand');
    expect(plain['FRAMEFLEET_SCALE_SETS']).toBe(names.map((name) => `${name}:${kind(name)}`).join(','));
    expect(plain['FRAMEFLEET_PRICES']).toBe(
      size === 'small'
        ? 'gpu-spot=0.063,gpu=0.526'
        : 'gpu-spot=0.9,gpu-spot-2=2.09,gpu-spot-3=0.144,gpu=3.673,gpu-2=6.98,gpu-3=1.204',
    );
  });

  test('what the commands at a desk have to know is one output, without a secret', () => {
    const env = String(at(ground(size).outputs, 'env', 'value'));
    const lines = env.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const media = ground(size).only('azurerm_storage_account', 'media').values['name'];
    const system = ground(size).only('azurerm_storage_account', 'system').values['name'];
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

  test('each program runs once, is asked how it is, and stops in peace', () => {
    const apps = ground(size)
      .ofType('azurerm_container_app')
      .filter(({ name }) => name !== 'redis');
    const shapes = apps.map(({ values }) => ({
      replicas: [at(values, 'template', 0, 'min_replicas'), at(values, 'template', 0, 'max_replicas')],
      live: at(values, 'template', 0, 'container', 0, 'liveness_probe', 0, 'path'),
      ready: at(values, 'template', 0, 'container', 0, 'readiness_probe', 0, 'path'),
      graceSeconds: at(values, 'template', 0, 'termination_grace_period_seconds'),
    }));
    const shape = { replicas: [1, 1], live: '/health/live', ready: '/health/ready', graceSeconds: 30 };
    expect(shapes).toEqual([shape, shape]);
  });
});

test('no probe waits for more failures than Azure allows', () => {
  const thresholds = ground('small')
    .ofType('azurerm_container_app')
    .flatMap(({ values }) =>
      ['startup_probe', 'liveness_probe', 'readiness_probe'].map((probe) =>
        Number(at(values, 'template', 0, 'container', 0, probe, 0, 'failure_count_threshold') ?? 3),
      ),
    );
  expect(Math.max(...thresholds)).toBeLessThanOrEqual(10);
});

test('images are pinned: by our sources, or by the tag that was asked for', () => {
  const images = (size: Size) =>
    ground(size)
      .ofType('azurerm_container_app')
      .map(({ values }) => String(at(values, 'template', 0, 'container', 0, 'image')));
  expect(images('full').every((image) => image.endsWith(':1.4.0'))).toBe(true);
  expect(images('small').filter((image) => /:[0-9a-f]{12}$/.test(image))).toHaveLength(2);
  expect([...images('small'), ...images('full')].filter((image) => /:latest$|\/[^:]+$/.test(image))).toEqual(
    [],
  );
});
