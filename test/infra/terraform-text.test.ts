/**
 * What can be known of the ground's text without Terraform, by its own parser and formatter: that every file is well formed and laid
 * out, that its parts fit together, and that it speaks of the containers and queues of the code; of its variables, see
 * `terraform-variables.test.ts`. `test/terraform/` has the real one.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { format } from '@cdktf/hcl-tools';
import { parse } from '@cdktf/hcl2json';
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

describe('files', () => {
  test('there are files, one a concern, none too long, each saying at its top what it is', () => {
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter(({ text }) => !text.startsWith('# ')).map(({ name }) => name)).toEqual([]);
    expect(files.filter(({ text }) => text.split('\n').length > LINES_MAX).map(({ name }) => name)).toEqual(
      [],
    );
  });

  test.each(files)('$name is well formed, and laid out as terraform fmt does it', async ({ name, text }) => {
    expect(Object.keys(await parse(name, text)).length).toBeGreaterThan(0);
    expect(await format(text)).toBe(text);
  });

  test.each([
    ['a bracket that is open', 'locals {\n  a = [\n}\n'],
    ['a word that is none', 'resource "a" "b" { c d }\n'],
  ])('%s is not', async (_, text) => {
    await expect(parse('x.tf', text)).rejects.toThrow(/x\.tf:\d+/);
  });

  test('a line that stands askew is not laid out so', async () => {
    expect(await format('locals {\n  a = 1\n  long = 2\n}\n')).toBe('locals {\n  a    = 1\n  long = 2\n}\n');
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
  const bare = (text: string): string => text.replaceAll(/#.*$|"(?:[^"\\$]|\\.|\$(?!\{))*"/gm, '');
  expect(files.filter(({ text }) => forbidden.test(bare(text))).map(({ name }) => name)).toEqual([]);
});
