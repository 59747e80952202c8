/**
 * Compares `docker-compose.yml` with the code: it sets the variables that the programs read, and only this machine can reach it. Runs
 * without Docker; `test/integration/infra/docker-programs.test.ts` tests `prepare.ts`.
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

/** The environment of a service, as Compose resolves `${NAME:-default}` and `${NAME:+replacement}`. */
const environmentOf = (name: string, set: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(services[name]?.environment ?? {}).map(([variable, value]) => [
      variable,
      String(value).replaceAll(/\$\{(\w+):([-+])([^}]*)\}/g, (_, one: string, sign: string, text: string) =>
        sign === '-' ? set[one] || text : set[one] ? text : '',
      ),
    ]),
  );
const variablesOf = (...files: string[]): string[] =>
  [...files, 'shared/runtime/service-variables.ts'].flatMap(
    (file) => readFileSync(file, 'utf8').match(/FRAMEFLEET_[A-Z_]+/g) ?? [],
  );

/** Settings of a worker that keep their defaults, and those of instances that Azure can evict. */
const WORKER_DEFAULTS = [
  'FRAMEFLEET_VM_NAME',
  'FRAMEFLEET_SCHEDULED_EVENTS_URL',
  'FRAMEFLEET_PRECISION',
  'FRAMEFLEET_INFERENCE_THREADS',
  'FRAMEFLEET_MICRO_BATCH_FRAMES_MAX',
  'FRAMEFLEET_STUCK_SECONDS',
  'FRAMEFLEET_MODEL_LOAD_SECONDS_MAX',
];

/** Variables that keep their defaults, with the reason. */
const OMITTED: Readonly<Record<string, readonly string[]>> = {
  producer: [
    // The retention is the same everywhere.
    'FRAMEFLEET_KEEP_FRAMES_SECONDS',
    'FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS',
    // The default is the free disk space, because a volume has no limit of its own.
    'FRAMEFLEET_WORK_BYTES_MAX',
    // The limits for sources are the same everywhere.
    'FRAMEFLEET_DURATION_SECONDS_MAX',
    'FRAMEFLEET_FRAMES_MAX',
    'FRAMEFLEET_STEP_SECONDS_MAX',
    'FRAMEFLEET_PIXELS_MAX',
    // Only this machine reaches the page.
    'FRAMEFLEET_PAGE_HOSTS',
  ],
  scaler: [
    // Only for scale sets.
    'FRAMEFLEET_SUBSCRIPTION_ID',
    'FRAMEFLEET_RESOURCE_GROUP',
    'FRAMEFLEET_SCALE_SETS',
    'FRAMEFLEET_ON_DEMAND_BASE',
    'FRAMEFLEET_ENGINES_PER_INSTANCE',
    // FRAMEFLEET_SCALER_TOKEN is used instead.
    'FRAMEFLEET_SCALER_TOKEN_FILE',
    // Processes cost nothing and start in seconds.
    'FRAMEFLEET_CAPACITY_MIN',
    'FRAMEFLEET_SPENDING_PER_HOUR_MAX',
    'FRAMEFLEET_BOOT_TIMEOUT_SECONDS',
    'FRAMEFLEET_HEARTBEAT_STALE_SECONDS',
    // The scaler gives each worker its own id and a share of the cores, and there are no evictions.
    'FRAMEFLEET_VM_ID',
    'FRAMEFLEET_GPU',
    ...WORKER_DEFAULTS,
  ],
  'worker-gpu': WORKER_DEFAULTS,
};

describe('variables', () => {
  test.each([
    ['producer', ['producer/config.ts']],
    // The workers inherit the environment of the scaler.
    ['scaler', ['scaler/config.ts', 'worker/config.ts']],
    ['worker-gpu', ['worker/config.ts']],
  ] as const)(
    '%s gets every variable that it reads, except the omitted ones, and no other',
    (name, files) => {
      const read = new Set(variablesOf(...files));
      const set = [...Object.keys(environmentOf(name)), ...(OMITTED[name] ?? [])];
      expect(set.toSorted()).toEqual([...read].toSorted());
    },
  );

  test('prepare gets exactly the variables that it reads', () => {
    const read = new Set(readFileSync('infra/docker/config.ts', 'utf8').match(/FRAMEFLEET_[A-Z_]+/g));
    expect(Object.keys(environmentOf('prepare')).toSorted()).toEqual([...read].toSorted());
  });

  test('each program accepts its variables', () => {
    expect(producerConfig(environmentOf('producer'))).toMatchObject({
      http: { host: '0.0.0.0', port: 8080 },
      page: null,
    });
    const { fleet, token, workerEnvironment } = scalerConfig(environmentOf('scaler'));
    expect({ fleet, token }).toEqual({ fleet: { kind: 'local' }, token: null });
    expect(workerConfig(workerEnvironment).executionProviders).toEqual(['cpu']);
    expect(workerConfig(environmentOf('worker-gpu')).executionProviders).toEqual(['cuda']);
    expect(prepareConfig(environmentOf('prepare')).mediaStorage).toContain('framefleetmedia');
  });

  test('with a token, the page is published, and both it and the API of the scaler have the token', () => {
    const set = { FRAMEFLEET_SCALER_TOKEN: 'correct-horse-battery-staple' };
    const { page } = producerConfig(environmentOf('producer', set));
    const { token } = scalerConfig(environmentOf('scaler', set));
    expect(page).toMatchObject({
      signIn: { mode: 'token', token },
      scaler: { url: 'http://scaler:8080', token },
      address: { host: '0.0.0.0', port: 8090 },
    });
    expect(services['producer']?.ports).toContain('127.0.0.1:8090:8090');
  });

  test('all services use the same storage accounts, which the emulator has', () => {
    const rooms = ['prepare', 'producer', 'scaler', 'worker-gpu'].map((name) => environmentOf(name));
    for (const account of ['MEDIA', 'SYSTEM']) {
      const settings = new Set(rooms.map((environment) => environment[`FRAMEFLEET_${account}_STORAGE`]));
      expect(settings.size).toBe(1);
      const [, name, key] = /AccountName=(\w+);AccountKey=([^;]+);/.exec([...settings][0] ?? '') ?? [];
      expect(environmentOf('azurite')['AZURITE_ACCOUNTS']?.split(';')).toContain(`${name}:${key}`);
    }
  });

  test('compose.env points the npm commands to the published ports of storage and scaler', () => {
    const desk = parseEnv(readFileSync('infra/docker/compose.env', 'utf8'));
    const commands = variablesOf(
      ...globSync(['producer/cli/**/config.ts', 'shared/command/config.ts', 'scaler/cli/config.ts']),
    );
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
  test.each(named)('$name has a pinned image, a restart policy and a health check', ({ name, service }) => {
    const isOurs = service.build !== undefined;
    expect(isOurs ? service.image.startsWith('framefleet/') : /:v?\d+\.\d+\.\d+/.test(service.image)).toBe(
      true,
    );
    // prepare exits when it is done, so it has no health check.
    const once = { restart: 'on-failure:5', isChecked: false };
    const always = { restart: 'unless-stopped', isChecked: true };
    const { restart, healthcheck } = service;
    expect({ restart, isChecked: healthcheck?.test !== undefined }).toEqual(
      name === 'prepare' ? once : always,
    );
  });

  test.each(named)(
    '$name publishes ports on the loopback interface only, and cannot gain privileges',
    ({ service }) => {
      expect((service.ports ?? []).filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
      expect(service.security_opt).toEqual(['no-new-privileges:true']);
    },
  );

  test.each(named.filter(({ service }) => service.build !== undefined))(
    '$name has an existing Dockerfile and target, and a read-only file system',
    ({ service }) => {
      const text = readFileSync(service.build?.dockerfile ?? '', 'utf8');
      expect(text).toMatch(new RegExp(` AS ${service.build?.target ?? 'producer'}$`, 'm'));
      expect({ isReadOnly: service.read_only, dropped: service.cap_drop }).toEqual({
        isReadOnly: true,
        dropped: ['ALL'],
      });
    },
  );

  test('services wait for their dependencies, and every mount exists', () => {
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

  test('Redis does not evict keys, and the emulator has the version of the tests', () => {
    expect(services['redis']?.command).toContain('--maxmemory-policy noeviction');
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const version = packages['node_modules/azurite']?.version;
    expect(services['azurite']?.image).toBe(`mcr.microsoft.com/azure-storage/azurite:${version}`);
    expect(services['azurite']?.command).toContain('--skipApiVersionCheck');
  });
});
