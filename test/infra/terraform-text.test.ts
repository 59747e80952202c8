/**
 * What can be known of the ground's text without Terraform: that it is laid out as `terraform fmt` does it, that its parts fit
 * together, and that it speaks of the containers and queues of the code; of its variables, see `terraform-variables.test.ts`.
 * `test/terraform/` has the real one.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { CONTAINERS, CONTAINER_NAMES, QUEUE_NAMES } from '../../shared/contract/storage-layout.ts';

const GROUND = 'infra/terraform';
const LINES_MAX = 300;

interface GroundFile {
  readonly name: string;
  readonly text: string;
}

const files: readonly GroundFile[] = globSync(`${GROUND}/*.tf`).map((name) => ({
  name: path.basename(name),
  text: readFileSync(name, 'utf8'),
}));
const all = files.map(({ text }) => text).join('\n');
const readme = readFileSync(`${GROUND}/README.md`, 'utf8');

/** Without comments and the insides of strings, so that brackets and words in them do not count. */
function bare(text: string): string {
  return text
    .split('\n')
    .map((line) => withoutStrings(line).replace(/#.*$/, ''))
    .join('\n');
}

/** From the inside out: an interpolation may hold strings of its own. */
function withoutStrings(line: string): string {
  const shorter = line.replaceAll(/\$\{[^{}"]*\}/g, '').replaceAll(/"(?:[^"\\$]|\\.|\$(?!\{))*"/g, 'S');
  return shorter === line ? line : withoutStrings(shorter);
}

/** Lines that are not indented by two for each line before them that left a bracket open. */
function crookedLines({ name, text }: GroundFile): string[] {
  /** How many brackets each such line opened. */
  const open: number[] = [];
  const move = (by: number): void => {
    if (by > 0) open.push(by);
    for (let left = -by; left > 0 && open.length > 0; left -= 1) {
      const last = (open.pop() ?? 0) - 1;
      if (last > 0) open.push(last);
    }
  };
  const count = (line: string, brackets: RegExp): number => line.match(brackets)?.length ?? 0;
  const crooked = bare(text)
    .split('\n')
    .flatMap((line, index) => {
      const leading = /^\s*[}\])]+/.exec(line)?.[0].trim().length ?? 0;
      move(-leading);
      const expected = open.length * 2;
      move(count(line, /[{[(]/g) - count(line, /[}\])]/g) + leading);
      const isStraight = line.trim() === '' || line.search(/\S/) === expected;
      return isStraight ? [] : [`${name}:${index + 1}`];
    });
  return open.length === 0 ? crooked : [...crooked, `${name}: a bracket is open at the end`];
}

/** Attributes in neighbouring lines whose `=` do not stand in one column. */
function unalignedLines({ name, text }: GroundFile): string[] {
  const attribute = /^( *)("?[A-Za-z_][\w-]*"?)( *)= \S/;
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const here = attribute.exec(line);
    const next = attribute.exec(lines[index + 1] ?? '');
    const isPair = here !== null && next !== null && here[1] === next[1];
    // What spans lines stands for itself.
    if (!isPair || /[[{(]$/.test(line) || /[[{(]$/.test(lines[index + 1] ?? '')) return [];
    return line.indexOf('= ') === (lines[index + 1] ?? '').indexOf('= ') ? [] : [`${name}:${index + 1}`];
  });
}

describe('files', () => {
  test('there are files, one a concern, none too long, each saying at its top what it is', () => {
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter(({ text }) => !text.startsWith('# ')).map(({ name }) => name)).toEqual([]);
    expect(files.filter(({ text }) => text.split('\n').length > LINES_MAX).map(({ name }) => name)).toEqual(
      [],
    );
  });

  test('are laid out as terraform fmt does it', () => {
    const untidy = files.filter(({ text }) => /[\t\r]| $|\n\n\n|\n\n$/m.test(text) || !text.endsWith('\n'));
    expect(untidy.map(({ name }) => name)).toEqual([]);
    expect(files.flatMap(crookedLines)).toEqual([]);
    expect(files.flatMap(unalignedLines)).toEqual([]);
  });
});

describe('words', () => {
  const declared = (kind: string): readonly string[] =>
    [...all.matchAll(new RegExp(`^${kind} "([a-z_]+)"`, 'gm'))].map(([, name]) => name ?? '').toSorted();

  test('every variable is described, used, and in the README', () => {
    const variables = declared('variable');
    expect(variables.length).toBeGreaterThan(30);
    const blocks = all.split(/^variable /m).slice(1);
    expect(blocks.filter((block) => !/^ {2}description = "[^"]{8,}/m.test(block))).toEqual([]);
    expect(variables.filter((name) => !new RegExp(`var\\.${name}\\b`).test(all))).toEqual([]);
    expect(variables.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  test('every variable that is used is there, and every local value', () => {
    const used = (prefix: string) => [
      ...new Set(
        [...all.matchAll(new RegExp(`\\b${prefix}\\.([a-z_0-9]+)`, 'g'))].map(([, name]) => name ?? ''),
      ),
    ];
    expect(used('var').filter((name) => !declared('variable').includes(name))).toEqual([]);
    const missing = used('local').filter((name) => !new RegExp(`^ {2}${name} += `, 'm').test(all));
    expect(missing).toEqual([]);
  });

  test('containers and queues are those of the layout', () => {
    const listed = (name: string): readonly string[] => {
      const body = new RegExp(`^ {2}${name} += \\[([^\\]]*)\\]`, 'm').exec(all)?.[1] ?? '';
      return [...body.matchAll(/"([^"]+)"/g)].map(([, item]) => item ?? '').toSorted();
    };
    for (const account of ['media', 'system'] as const)
      expect(listed(`${account}_containers`)).toEqual(
        CONTAINER_NAMES.filter((name) => CONTAINERS[name] === account).toSorted(),
      );
    expect(listed('system_queues')).toEqual([...QUEUE_NAMES].toSorted());
  });
});

test('what baking an image asks of the ground is an output, and no output there is for nothing', () => {
  const script = readFileSync(`${GROUND}/bake/bake-image.sh`, 'utf8');
  const asked = [...script.matchAll(/\bfleet ([a-z_]+)/g)].map(([, name]) => name ?? '');
  const outputs = files.find(({ name }) => name === 'workers-image.tf')?.text.matchAll(/^output "(\w+)"/gm);
  expect(asked.toSorted()).toEqual([...(outputs ?? [])].map(([, name]) => name ?? '').toSorted());
});

test('Redis is the one of the compose file, by an exact version', () => {
  const image = /^ {2}default += "(?:docker\.io\/library\/)(redis:\d+\.\d+\.\d+\S*)"/m.exec(all)?.[1];
  expect(readFileSync('docker-compose.yml', 'utf8')).toContain(`image: ${image}\n`);
});

test('no key, password or connection string is asked for, written down or handed on', () => {
  const forbidden =
    /primary_access_key|connection_string|shared_key\b|admin_password\b|account_key|client_secret/;
  expect(files.filter(({ text }) => forbidden.test(bare(text))).map(({ name }) => name)).toEqual([]);
});
