/** The house rules that no linter knows: who may import what, what PURE means, and that the documents tell the truth. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { jobReport, jobRequest, jobStatus } from '../shared/contract/job.ts';
import { ERROR_EXITS } from '../shared/runtime/errors.ts';

const ROOMS = ['producer', 'worker', 'scaler', 'infra/local', 'infra/doctor'];
/** The heading of each room in `docs/settings.md` and `docs/metrics.md`. */
const HEADINGS: Readonly<Record<string, string>> = {
  producer: 'Producer',
  worker: 'Worker',
  scaler: 'Scaler',
  'infra/local': 'Local fleet',
  'infra/doctor': 'Doctor',
};
const LINES_MAX = 300;

/** The one file or folder that may import a package. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  '@azure/arm-compute': ['scaler/fleet/', 'infra/doctor/azure/arm.ts'],
  '@azure/arm-resources': ['infra/doctor/azure/arm.ts'],
  '@azure/identity': ['shared/azure/credentials.ts'],
  '@azure/storage-blob': ['shared/azure/'],
  '@azure/storage-queue': ['shared/azure/'],
  '@fastify/bearer-auth': ['scaler/api/guarded-http.ts'],
  '@fastify/rate-limit': ['scaler/api/guarded-http.ts'],
  azurite: ['infra/local/azurite.ts'],
  bullmq: ['producer/jobs/steps.ts'],
  'cli-progress': ['producer/cli/enqueue/progress.ts'],
  commander: ['shared/command/', 'producer/cli/', 'scaler/cli/', 'infra/doctor/options.ts'],
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
  'p-limit': ['worker/', 'producer/'],
  pino: ['shared/runtime/log.ts'],
  'prom-client': ['shared/runtime/metrics.ts'],
  sharp: ['worker/engine/picture.ts', 'infra/monitoring/render/main.ts'],
};
/** May be imported anywhere: it describes data and does nothing. */
const EVERYWHERE = new Set(['zod']);
/** Node's own modules that only calculate. */
const PURE_BUILTINS = new Set(['node:assert/strict', 'node:path']);

interface SourceFile {
  readonly name: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const IMPORT = /(?:from|import|import\()\s*'([^']+)'|resolve\('([^']+)'\)/g;
/** An import or re-export of another file of the project: what is named, and the path. */
const LOCAL_IMPORT = /^(?:import|export) ([^;]*?)from '(\.[^']+)';/gm;
const sources: SourceFile[] = globSync('{producer,worker,scaler,shared,infra}/**/*.{ts,mjs}').map((name) => {
  const text = readFileSync(name, 'utf8');
  return { name, text, imports: [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '') };
});

/** `infra/docker` counts as `infra/local`: both prepare an emulator. */
const roomOf = (file: string): string | undefined =>
  ROOMS.find((room) => file.replace('infra/docker/', 'infra/local/').startsWith(`${room}/`));
const targetOf = (file: string, imported: string): string => path.join(path.dirname(file), imported);
const packageOf = (imported: string): string =>
  imported
    .split('/')
    .slice(0, imported.startsWith('@') ? 2 : 1)
    .join('/');
const readme = readFileSync('README.md', 'utf8');
/** The text below the `## ` heading of a document in `docs/`. */
function sectionOf(document: string, heading: string): string {
  const sections = readFileSync(path.join('docs', document), 'utf8').split(/^## /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/${document} has no section ${heading}`);
  return section;
}

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

  test('only the renderer of the dashboard imports the chart library', () => {
    const importers = globSync('{producer,worker,scaler,shared,infra,test}/**/*.ts').filter((name) =>
      [...readFileSync(name, 'utf8').matchAll(IMPORT)].some(([, imported]) => imported === 'echarts'),
    );
    expect(importers).toEqual(['infra/monitoring/render/draw-timeseries.ts']);
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

  test('a file that a comment cites exists', () => {
    // A path, or a name beside the file that cites it or in the folder of its room.
    const CITED = /[`\s('"](?<cited>(?:[\w.-]+\/)*[\w.-]+\.(?:ts|mjs|md|tf|yml))(?=[`\s)'",.:;]|$)/gm;
    const comments = /\/\*\*?[^]*?\*\/|\/\/.*$/gm;
    const citations = sources.flatMap(({ name, text }) =>
      [...(text.match(comments) ?? []).join('\n').matchAll(CITED)].map((match) => ({
        name,
        cited: match.groups?.['cited'] ?? '',
      })),
    );
    expect(citations.length).toBeGreaterThan(40);
    const missing = citations.filter(
      ({ name, cited }) =>
        ![cited, path.join(path.dirname(name), cited), path.join(roomOf(name) ?? '', cited)].some(existsSync),
    );
    expect(missing.map(({ name, cited }) => `${name} -> ${cited}`)).toEqual([]);
  });

  test('a document that a message or a Terraform description cites exists', () => {
    const texts = [
      ...sources.map(({ name, text }) => ({ name, text })),
      ...globSync('infra/**/*.{tf,yml,sh,tftpl}').map((name) => ({ name, text: readFileSync(name, 'utf8') })),
    ];
    const citations = texts.flatMap(({ name, text }) =>
      [
        ...text.matchAll(/\b(?:docs|producer|worker|scaler|shared|infra|test)\/[\w./-]*\.md(?:#[\w-]+)?/g),
      ].map(([link]) => ({ name, link })),
    );
    expect(citations.length).toBeGreaterThan(6);
    const missing = citations.filter(({ link }) => !leadsSomewhere('README.md', link));
    expect(missing.map(({ name, link }) => `${name} -> ${link}`)).toEqual([]);
  });

  test('a log message that an alert of Terraform waits for is written somewhere', () => {
    const waitedFor = [
      ...readFileSync('infra/terraform/monitoring.tf', 'utf8').matchAll(/line\.msg\) == '([^']+)'/g),
    ];
    expect(waitedFor.length).toBeGreaterThan(1);
    const missing = waitedFor
      .map(([, message = '']) => message)
      .filter((message) => !sources.some(({ text }) => text.includes(`'${message}'`)));
    expect(missing).toEqual([]);
  });
});

describe('documents', () => {
  const metricsIn = (text: string): string[] =>
    [...new Set(text.match(/framefleet_[a-z_]+/g) ?? [])].toSorted();
  const variablesIn = (text: string): string[] =>
    [...new Set(text.match(/FRAMEFLEET_[A-Z_]+/g) ?? [])].toSorted();

  test.each(ROOMS)('every variable that %s reads is in docs/settings.md, and the other way round', (room) => {
    const configs = sources.filter(
      ({ name }) => name.startsWith(`${room}/`) && path.basename(name) === 'config.ts',
    );
    const service = room.startsWith('infra/')
      ? []
      : sources.filter(({ name }) => name.endsWith('service-variables.ts'));
    const read = [...configs, ...service].map(({ text }) => text).join('\n');
    expect(variablesIn(sectionOf('settings.md', HEADINGS[room] ?? ''))).toEqual(variablesIn(read));
  });

  test.each(['producer', 'worker', 'scaler'])(
    'every metric of %s is in docs/metrics.md, and the other way round',
    (room) => {
      const metrics = sources.find(({ name }) => name === `${room}/metrics.ts`)?.text ?? '';
      expect(metricsIn(metrics).length).toBeGreaterThan(5);
      expect(metricsIn(sectionOf('metrics.md', HEADINGS[room] ?? ''))).toEqual(metricsIn(metrics));
    },
  );

  test('every metric that an alert, a rule or a dashboard names exists, and so does every figure that rules record', () => {
    const known = new Set(metricsIn(readFileSync('docs/metrics.md', 'utf8')));
    const texts = globSync('infra/monitoring/**/*.{yml,json}').map((name) => readFileSync(name, 'utf8'));
    const named = metricsIn(texts.join('\n').replaceAll('framefleet_fleet_…', ''));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    const recorded = readFileSync('infra/monitoring/rules.yml', 'utf8').matchAll(/record: (\S+)/g);
    const used = new Set(texts.flatMap((text) => text.match(/(?<!record: )framefleet:[a-z_]+/g) ?? []));
    expect([...used].toSorted()).toEqual([...recorded].map(([, name]) => name ?? '').toSorted());
  });

  test.each([
    ['The request', jobRequest.shape],
    ['The status', jobStatus.shape],
    ['The report', jobReport.shape],
  ] as const)('docs/jobs.md lists the fields under "%s", and no other', (heading, shape) => {
    const cells = sectionOf('jobs.md', heading).matchAll(/^\| (`[^|]*) \|/gm);
    const named = [...cells].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    );
    expect(named.toSorted()).toEqual(Object.keys(shape).toSorted());
  });

  test('every error code has an entry in docs/errors.md with its exit status, and the other way round', () => {
    const entries = readFileSync('docs/errors.md', 'utf8').matchAll(
      /^### ([A-Z_]+)\n\nExit status (\d+)\. \S/gm,
    );
    const documented = [...entries].map(([, code, status]) => [code, Number(status)]);
    expect(Object.fromEntries(documented)).toEqual(ERROR_EXITS);
  });

  test('every npm command in the README is a script', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const commands = [...readme.matchAll(/npm run ([a-z:-]+)/g)].map(([, script]) => script ?? '');
    expect(commands).toContain('enqueue');
    expect(commands.filter((script) => scripts[script] === undefined)).toEqual([]);
  });

  test('every link in a document leads to a file, and to a heading of it', () => {
    const documents = globSync('{*.md,docs/**/*.md,{producer,worker,scaler,shared,infra,test}/**/*.md}');
    expect(documents.length).toBeGreaterThan(10);
    const links = documents.flatMap((document) =>
      [...withoutCode(readFileSync(document, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link]) => ({ document, link: link ?? '' }))
        .filter(({ link }) => !/^[a-z]+:/.test(link)),
    );
    expect(links.length).toBeGreaterThan(40);
    const broken = links.filter(({ document, link }) => !leadsSomewhere(document, link));
    expect(broken.map(({ document, link }) => `${document} -> ${link}`)).toEqual([]);
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

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[^]*?^```/gm, '');
}

function leadsSomewhere(document: string, link: string): boolean {
  const [file = '', heading] = link.split('#');
  const target = file === '' ? document : path.join(path.dirname(document), file);
  if (!existsSync(target)) return false;
  return heading === undefined || headingsOf(target).includes(heading);
}

/** As GitHub makes anchors of headings. */
function headingsOf(document: string): string[] {
  const headings = withoutCode(readFileSync(document, 'utf8')).matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
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
