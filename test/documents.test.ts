/** The documents tell the truth: they are compared with the code by section, and what they and the code cite exists. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { jobReport, jobRequest, jobStatus } from '../shared/contract/job.ts';
import { ERROR_EXITS } from '../shared/runtime/errors.ts';
import { ROOMS, roomOf, sources } from './support/sources.ts';

/** The heading of each room in `docs/settings.md` and `docs/metrics.md`. */
const HEADINGS: Readonly<Record<string, string>> = {
  producer: 'Producer',
  worker: 'Worker',
  scaler: 'Scaler',
  'infra/local': 'Local fleet',
  'infra/doctor': 'Doctor',
};
const readme = readFileSync('README.md', 'utf8');
/** The text below the `## ` heading of a document in `docs/`. */
function sectionOf(document: string, heading: string): string {
  const sections = readFileSync(path.join('docs', document), 'utf8').split(/^## /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/${document} has no section ${heading}`);
  return section;
}

describe('citations', () => {
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

  const documents = globSync('{*.md,docs/**/*.md,{producer,worker,scaler,shared,infra,test}/**/*.md}');

  test('no heading, paragraph or table stands twice in a document', () => {
    expect(documents.length).toBeGreaterThan(10);
    const repeated = documents.flatMap((document) => {
      const parts = withoutCode(readFileSync(document, 'utf8')).split(/\n{2,}/);
      return parts.filter((part, index) => parts.indexOf(part) < index).map((part) => `${document}: ${part}`);
    });
    expect(repeated).toEqual([]);
  });

  test('every link in a document leads to a file, and to a heading of it', () => {
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
