/**
 * `docker-compose.yml` against the code: what it sets is what the programs read, and nobody but this machine reaches it. Without
 * a Docker engine; what its one-shot program does to an emulator is in `test/integration/`.
 */
import { globSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { prepareConfig } from '../../infra/docker/config.ts';
import { producerConfig } from '../../producer/config.ts';
import { scalerConfig } from '../../scaler/config.ts';
import { workerConfig } from '../../worker/config.ts';

interface Service {
  readonly image: string;
  readonly build?: { readonly dockerfile: string; readonly target?: string };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly command?: string | readonly string[];
}

const { services, volumes } = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const named = Object.entries(services).map(([name, service]) => ({ name, service }));

/** As Compose fills it in where nothing is set: `${NAME:-default}`. */
const environmentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(services[name]?.environment ?? {}).map(([variable, value]) => [
      variable,
      String(value).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1'),
    ]),
  );
const variablesOf = (...files: string[]): string[] =>
  [...files, 'shared/runtime/service-variables.ts'].flatMap(
    (file) => readFileSync(file, 'utf8').match(/FRAMEFLEET_[A-Z_]+/g) ?? [],
  );

/** A worker without a machine that goes, as it is by default. */
const OF_A_WORKER = [
  'FRAMEFLEET_VM_NAME',
  'FRAMEFLEET_SCHEDULED_EVENTS_URL',
  'FRAMEFLEET_INFERENCE_THREADS',
  'FRAMEFLEET_FRAMES_IN_FLIGHT',
  'FRAMEFLEET_STUCK_SECONDS',
  'FRAMEFLEET_MODEL_LOAD_SECONDS_MAX',
  'FRAMEFLEET_JPEG_QUALITY',
];

/** What each program is left to have as it is by default, and why. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  producer: [
    // Days: the same everywhere.
    'FRAMEFLEET_KEEP_FRAMES_SECONDS',
    'FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS',
    // What is free: a volume has no bound of its own.
    'FRAMEFLEET_WORK_BYTES_MAX',
    // What a source may be: the same everywhere.
    'FRAMEFLEET_DURATION_SECONDS_MAX',
    'FRAMEFLEET_FRAMES_MAX',
    'FRAMEFLEET_STEP_SECONDS_MAX',
    'FRAMEFLEET_PIXELS_MAX',
  ],
  scaler: [
    // Of scale sets.
    'FRAMEFLEET_SUBSCRIPTION_ID',
    'FRAMEFLEET_RESOURCE_GROUP',
    'FRAMEFLEET_SCALE_SETS',
    'FRAMEFLEET_ON_DEMAND_BASE',
    'FRAMEFLEET_ENGINES_PER_INSTANCE',
    // A variable is enough.
    'FRAMEFLEET_SCALER_TOKEN_FILE',
    // Processes cost nothing and start in seconds.
    'FRAMEFLEET_CAPACITY_MIN',
    'FRAMEFLEET_SPENDING_PER_HOUR_MAX',
    'FRAMEFLEET_BOOT_TIMEOUT_SECONDS',
    'FRAMEFLEET_HEARTBEAT_STALE_SECONDS',
    // Its workers': each gets an id of its own and its share of the cores, and has no machine that goes.
    'FRAMEFLEET_VM_ID',
    'FRAMEFLEET_GPU',
    ...OF_A_WORKER,
  ],
  'worker-gpu': OF_A_WORKER,
};

describe('variables', () => {
  test.each([
    ['producer', ['producer/config.ts']],
    // Its workers are started with its environment.
    ['scaler', ['scaler/config.ts', 'worker/config.ts']],
    ['worker-gpu', ['worker/config.ts']],
  ] as const)(
    '%s is told everything it reads but for what is left out on purpose, and nothing else',
    (name, files) => {
      const read = new Set(variablesOf(...files));
      const told = [...Object.keys(environmentOf(name)), ...(LEFT_OUT[name] ?? [])];
      expect(told.toSorted()).toEqual([...read].toSorted());
    },
  );

  test('what prepares the emulator is told what it reads, and nothing else', () => {
    const read = new Set(readFileSync('infra/docker/config.ts', 'utf8').match(/FRAMEFLEET_[A-Z_]+/g));
    expect(Object.keys(environmentOf('prepare')).toSorted()).toEqual([...read].toSorted());
  });

  test('each program can use what it is told', () => {
    expect(producerConfig(environmentOf('producer'))).toMatchObject({
      http: { host: '0.0.0.0', port: 8080 },
    });
    const { fleet, token, workerEnvironment } = scalerConfig(environmentOf('scaler'));
    expect({ fleet, token }).toEqual({ fleet: { kind: 'local' }, token: null });
    expect(workerConfig(workerEnvironment).executionProviders).toEqual(['cpu']);
    expect(workerConfig(environmentOf('worker-gpu')).executionProviders).toEqual(['cuda']);
    expect(prepareConfig(environmentOf('prepare')).mediaStorage).toContain('framefleetmedia');
  });

  test('all use the same storage, in which the emulator has the accounts', () => {
    const rooms = ['prepare', 'producer', 'scaler', 'worker-gpu'].map(environmentOf);
    for (const account of ['MEDIA', 'SYSTEM']) {
      const settings = new Set(rooms.map((environment) => environment[`FRAMEFLEET_${account}_STORAGE`]));
      expect(settings.size).toBe(1);
      const [, name, key] = /AccountName=(\w+);AccountKey=([^;]+);/.exec([...settings][0] ?? '') ?? [];
      expect(environmentOf('azurite')['AZURITE_ACCOUNTS']?.split(';')).toContain(`${name}:${key}`);
    }
  });

  test('the commands at a desk reach the same storage and the scaler, by the ports that are published', () => {
    const desk = parseEnv(readFileSync('infra/docker/compose.env', 'utf8'));
    const commands = variablesOf(...globSync(['producer/*/config.ts', 'scaler/*/config.ts']));
    expect(Object.keys(desk).filter((name) => !commands.includes(name))).toEqual([]);
    const inside = environmentOf('prepare');
    const outside = (setting = ''): string => setting.replaceAll('//azurite:', '//127.0.0.1:');
    for (const name of ['FRAMEFLEET_MEDIA_STORAGE', 'FRAMEFLEET_SYSTEM_STORAGE'])
      expect(desk[name]).toBe(outside(inside[name]));
    const published = named.flatMap(({ service }) => service.ports ?? []);
    const reached = Object.values(desk).flatMap((value) => [
      ...(value ?? '').matchAll(/127\.0\.0\.1:(\d+)/g),
    ]);
    expect(reached.length).toBe(5);
    expect(
      reached.filter(([, port]) => !published.some((one) => one.startsWith(`127.0.0.1:${port}:`))),
    ).toEqual([]);
    expect(services['scaler']?.ports).toContain(`${new URL(desk['FRAMEFLEET_SCALER_URL'] ?? '').host}:8080`);
  });
});

describe('services', () => {
  test.each(named)('$name has a pinned image, restarts, and says whether it is well', ({ name, service }) => {
    const isOurs = service.build !== undefined;
    expect(isOurs ? service.image.startsWith('framefleet/') : /:v?\d+\.\d+\.\d+/.test(service.image)).toBe(
      true,
    );
    // One ends when it is done: that is its health.
    const once = { restart: 'on-failure:5', isChecked: false };
    const always = { restart: 'unless-stopped', isChecked: true };
    const { restart, healthcheck } = service;
    expect({ restart, isChecked: healthcheck?.test !== undefined }).toEqual(
      name === 'prepare' ? once : always,
    );
  });

  test.each(named)('$name binds no port beyond this machine, and gains no privileges', ({ service }) => {
    expect((service.ports ?? []).filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
  });

  test.each(named.filter(({ service }) => service.build !== undefined))(
    '$name is built from a file and a target that exist, and cannot write but where it must',
    ({ service }) => {
      const text = readFileSync(service.build?.dockerfile ?? '', 'utf8');
      expect(text).toMatch(new RegExp(` AS ${service.build?.target ?? 'producer'}$`, 'm'));
      expect({ isReadOnly: service.read_only, dropped: service.cap_drop }).toEqual({
        isReadOnly: true,
        dropped: ['ALL'],
      });
    },
  );

  test('they wait for what they need, and what is mounted exists', () => {
    const needs = named.flatMap(({ service }) => Object.entries(service.depends_on ?? {}));
    expect(needs.length).toBeGreaterThan(5);
    const conditions = needs.map(([name, { condition }]) => ({ name, condition }));
    expect(
      conditions.filter(
        ({ name, condition }) =>
          condition !== (name === 'prepare' ? 'service_completed_successfully' : 'service_healthy'),
      ),
    ).toEqual([]);
    const mounted = named
      .flatMap(({ service }) => service.volumes ?? [])
      .map((mount) => mount.split(':')[0] ?? '');
    expect(
      mounted.filter((source) =>
        source.startsWith('.') ? globSync(source).length === 0 : !(source in volumes),
      ),
    ).toEqual([]);
    expect(Object.keys(volumes).filter((name) => !mounted.includes(name))).toEqual([]);
  });

  test('Redis evicts nothing, and the emulator is the one of the tests and takes what the SDK speaks', () => {
    expect(services['redis']?.command).toContain('--maxmemory-policy noeviction');
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const version = packages['node_modules/azurite']?.version;
    expect(services['azurite']?.image).toBe(`mcr.microsoft.com/azure-storage/azurite:${version}`);
    expect(services['azurite']?.command).toContain('--skipApiVersionCheck');
  });
});
