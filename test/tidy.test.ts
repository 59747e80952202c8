/** The house rules that no linter knows: which file may import what, what PURE means, one meaning for each exported name, and the lock file. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { IMPORT, type SourceFile, roomOf, sources } from './support/sources.ts';

const LINES_MAX = 300;

/** An import or re-export of another file of the project: what is named, and the path. */
const LOCAL_IMPORT = /^(?:import|export) ([^;]*?)from '(\.[^']+)';/gm;
/** The one file or folder that may import a package. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  '@azure/arm-compute': ['scaler/fleet/', 'infra/doctor/azure/arm.ts'],
  '@azure/arm-resources': ['infra/doctor/azure/arm.ts'],
  '@azure/identity': ['shared/azure/credentials.ts'],
  '@azure/storage-blob': ['shared/azure/'],
  '@azure/storage-queue': ['shared/azure/'],
  '@fastify/bearer-auth': ['scaler/api/guarded-http.ts'],
  '@fastify/cookie': ['producer/page/sign-in.ts'],
  '@fastify/helmet': ['producer/page/guard.ts'],
  '@fastify/rate-limit': ['scaler/api/guarded-http.ts', 'producer/page/guard.ts'],
  '@bufbuild/protobuf': ['worker/import/'],
  azurite: ['infra/local/azurite.ts'],
  bullmq: ['producer/jobs/steps.ts'],
  'cli-progress': ['shared/command/progress-bar.ts'],
  'log-update': ['producer/cli/jobs.ts'],
  croner: ['scaler/schedule.ts'],
  commander: [
    'shared/command/',
    'producer/cli/',
    'scaler/cli/',
    'worker/cli/',
    'infra/doctor/options.ts',
    'infra/bin/completion/options.ts',
  ],
  echarts: ['infra/monitoring/render/draw-timeseries.ts'],
  fastify: ['shared/runtime/http.ts'],
  'fluent-ffmpeg': ['shared/media/ffmpeg.ts'],
  ioredis: [
    'shared/redis/',
    'producer/jobs/frame-retention.ts',
    'scaler/scaler-state.ts',
    'scaler/leader.ts',
  ],
  'onnxruntime-node': ['worker/engine/inference-thread.ts', 'worker/engine/probe.ts'],
  '@preact/signals': ['producer/page/browser/'],
  htm: ['producer/page/browser/html.ts'],
  preact: ['producer/page/browser/'],
  uplot: ['producer/page/browser/fleet/line-chart.ts'],
  'p-limit': ['worker/', 'producer/'],
  pino: ['shared/runtime/log.ts'],
  'prom-client': ['shared/runtime/metrics.ts'],
  yazl: ['producer/page/result.ts'],
  sharp: ['worker/engine/picture.ts', 'producer/media/contact-sheet.ts', 'infra/monitoring/render/main.ts'],
};
/** May be imported anywhere: it describes data and does nothing. */
const EVERYWHERE = new Set(['zod']);
/** Node's own modules that only calculate. */
const PURE_BUILTINS = new Set(['node:assert/strict', 'node:path']);

const targetOf = (file: string, imported: string): string => path.join(path.dirname(file), imported);
const packageOf = (imported: string): string =>
  imported
    .split('/')
    .slice(0, imported.startsWith('@') ? 2 : 1)
    .join('/');
test('there are sources to look at', () => {
  expect(sources.length).toBeGreaterThan(80);
  expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(300);
});

describe('imports', () => {
  test('rooms import shared and themselves, never each other', () => {
    const strays = sources.flatMap(({ name, imports }) =>
      imports
        .filter((imported) => imported.startsWith('.'))
        .map((imported) => targetOf(name, imported))
        .filter((target) => !target.startsWith('shared/') && roomOf(target) !== roomOf(name))
        .map((target) => `${name} -> ${target}`),
    );
    expect(strays).toEqual([]);
  });

  test('shared imports no room, and the contract nothing but itself', () => {
    const strays = sources
      .filter(({ name }) => name.startsWith('shared/'))
      .flatMap(({ name, imports }) => {
        const own = name.startsWith('shared/contract/') ? 'shared/contract/' : 'shared/';
        const isOwn = (imported: string) =>
          imported.startsWith('.') && targetOf(name, imported).startsWith(own);
        const isPure = (imported: string) => imported === 'zod' || imported === 'node:assert/strict';
        const foreign = imports.filter(
          (imported) =>
            !isOwn(imported) && (own !== 'shared/' ? !isPure(imported) : imported.startsWith('.')),
        );
        return foreign.map((imported) => `${name} -> ${imported}`);
      });
    expect(strays).toEqual([]);
  });

  test('no two files import each other at run time, and no two folders beside each other import each other', () => {
    const [files, folders] = [new Map<string, Set<string>>(), new Map<string, Set<string>>()];
    const add = (graph: Map<string, Set<string>>, from: string, to: string) =>
      graph.set(from, (graph.get(from) ?? new Set()).add(to));
    for (const { name, text } of sources) {
      for (const [, named = '', imported = ''] of text.matchAll(LOCAL_IMPORT)) {
        const target = targetOf(name, imported);
        const [from, to] = [path.dirname(name), path.dirname(target)];
        // A file and the folder of its parts may import each other: `api/explain/` and `api/`.
        if (!`${from}/`.startsWith(`${to}/`) && !`${to}/`.startsWith(`${from}/`)) add(folders, from, to);
        if (!isTypesOnly(named)) add(files, name, target);
      }
    }
    expect(files.size).toBeGreaterThan(200);
    expect(cycleIn(files)).toEqual([]);
    expect(cycleIn(folders)).toEqual([]);
  });

  test('each package is imported in its one place', () => {
    const strays = sources.flatMap(({ name, imports }) =>
      imports
        .filter((imported) => !imported.startsWith('.') && !imported.startsWith('node:'))
        .map(packageOf)
        .filter((one) => !EVERYWHERE.has(one) && !(HOSTS[one] ?? []).some((host) => name.startsWith(host)))
        .map((one) => `${name} -> ${one}`),
    );
    expect(strays).toEqual([]);
  });

  test('only the renderer of the dashboard and the benchmark import the chart library', () => {
    const importers = globSync('{producer,worker,scaler,shared,infra,test}/**/*.ts').filter((name) =>
      [...readFileSync(name, 'utf8').matchAll(IMPORT)].some(([, imported]) => imported === 'echarts'),
    );
    expect(importers.toSorted()).toEqual([
      'infra/monitoring/render/draw-timeseries.ts',
      'test/bench/plot.ts',
    ]);
  });

  test('the worker proper loads nothing native and no Redis', () => {
    const native = sources
      .filter(({ name }) => name.startsWith('worker/') && !name.startsWith('worker/engine/'))
      .filter(({ imports }) =>
        imports.some((imported) => /sharp|onnxruntime|ioredis|bullmq|shared\/redis\//.test(imported)),
      );
    expect(native.map(({ name }) => name)).toEqual([]);
  });
});

describe('files', () => {
  const isPure = ({ text }: SourceFile): boolean => /\bPURE\b/.test(text.slice(0, text.indexOf('*/')));

  test('a file marked PURE has no clock, I/O, log, randomness or await', () => {
    const pure = sources.filter(isPure);
    expect(pure.length).toBeGreaterThan(20);
    const impure = pure.filter(({ text, imports }) => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      const touches =
        /\bawait\b|\basync\b|Date\.now|new Date\(\)|Math\.random|performance\.|process\.|console\.|setTimeout/;
      return (
        touches.test(code) ||
        imports.some((imported) => imported.startsWith('node:') && !PURE_BUILTINS.has(imported))
      );
    });
    expect(impure.map(({ name }) => name)).toEqual([]);
  });

  test('every file starts with a header comment', () => {
    expect(sources.filter(({ text }) => !text.startsWith('/**')).map(({ name }) => name)).toEqual([]);
  });

  test('no file is too long, and none has a catch-all name', () => {
    const long = sources.filter(({ text }) => text.split('\n').length > LINES_MAX);
    expect(long.map(({ name }) => name)).toEqual([]);
    expect(
      sources.filter(({ name }) => /util|helper|common|manager|handler/i.test(name)).map(({ name }) => name),
    ).toEqual([]);
  });
});

describe('names', () => {
  const EXPORT = /^export (?:abstract )?(?:async )?(?:function\*?|const|class|interface|type) (?<name>\w+)/gm;

  test('an exported name has one meaning: no two files export the same one', () => {
    const exporters = Map.groupBy(
      sources.flatMap(({ name, text }) =>
        [...text.matchAll(EXPORT)].map((match) => ({ file: name, exported: match.groups?.['name'] ?? '' })),
      ),
      ({ exported }) => exported,
    );
    expect(exporters.size).toBeGreaterThan(500);
    const shared = [...exporters].filter(([, files]) => files.length > 1);
    expect(shared.map(([name, files]) => `${name}: ${files.map(({ file }) => file).join(', ')}`)).toEqual([]);
  });

  test('what a constructor or function takes in one object is called Options or Services', () => {
    const others = sources.flatMap(({ name, text }) =>
      [
        ...text.matchAll(
          /\b(?:interface|type) (\w+(?:Parts|Deps|Dependencies|Params|Args|Opts))\b(?= [{=]|<| extends)/g,
        ),
      ].map(([, type]) => `${name}: ${type}`),
    );
    expect(others).toEqual([]);
  });
});

/** Whether an import has no effect at run time: `type { A }` or `{ type A, type B }`. */
function isTypesOnly(named: string): boolean {
  if (named.startsWith('type ')) return true;
  const names = (/^\{(.*)\}\s*$/s.exec(named)?.[1] ?? named).split(',').map((name) => name.trim());
  return names.every((name) => name === '' || name.startsWith('type '));
}

/** The first cycle found, from a node back to itself; empty if there is none. */
function cycleIn(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const visit = (node: string, above: readonly string[]): string[] => {
    const start = above.indexOf(node);
    if (start !== -1) return [...above.slice(start), node];
    if (done.has(node)) return [];
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...above, node]);
      if (cycle.length > 0) return cycle;
    }
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

interface LockedPackage {
  readonly integrity?: string;
  readonly resolved?: string;
  readonly os?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test('the lock file pins by content, names no registry, and knows the packages of every platform', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const packages = Object.entries(lock.packages).filter(([place]) => place !== '');
  expect(packages.length).toBeGreaterThan(200);
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  const unpinned = packages.filter(([, { integrity }]) => integrity === undefined);
  // Platforms whose packages a mirror did not have: see infra/complete-lock.mjs.
  expect(
    unpinned
      .filter(([, { os }]) => os === undefined || os.includes(process.platform))
      .map(([place]) => place)
      .filter((place) => !/musl|arm|ppc64|riscv64|s390x/.test(place)),
  ).toEqual([]);
  const siblings = packages.flatMap(([, { optionalDependencies = {} }]) => Object.keys(optionalDependencies));
  expect(siblings.filter((name) => lock.packages[`node_modules/${name}`] === undefined)).toEqual([]);
});
