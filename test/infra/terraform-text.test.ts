/**
 * Checks the Terraform files without Terraform, with its parser and formatter: every file is valid and formatted, references resolve,
 * and containers and queues match the code. `terraform-variables.test.ts` checks the environment variables; `test/terraform/` runs the
 * real Terraform.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { format } from '@cdktf/hcl-tools';
import { parse } from '@cdktf/hcl2json';
import { describe, expect, test } from 'vitest';

import { CONTAINERS, CONTAINER_NAMES, QUEUE_NAMES } from '../../shared/contract/storage-layout.ts';

const TERRAFORM = 'infra/terraform';
const LINES_MAX = 300;

interface TerraformFile {
  readonly name: string;
  readonly text: string;
}

const files: readonly TerraformFile[] = globSync(`${TERRAFORM}/*.tf`).map((name) => ({
  name: path.basename(name),
  text: readFileSync(name, 'utf8'),
}));
const all = files.map(({ text }) => text).join('\n');
const settings = readFileSync('docs/settings.md', 'utf8');

describe('files', () => {
  test('every file has a header comment and is not too long', () => {
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter(({ text }) => !text.startsWith('# ')).map(({ name }) => name)).toEqual([]);
    expect(files.filter(({ text }) => text.split('\n').length > LINES_MAX).map(({ name }) => name)).toEqual(
      [],
    );
  });

  test.each(files)('$name is valid and formatted as terraform fmt does', async ({ name, text }) => {
    expect(Object.keys(await parse(name, text)).length).toBeGreaterThan(0);
    expect(await format(text)).toBe(text);
  });

  test.each([
    ['an open bracket', 'locals {\n  a = [\n}\n'],
    ['an invalid attribute', 'resource "a" "b" { c d }\n'],
  ])('%s is a syntax error', async (_, text) => {
    await expect(parse('x.tf', text)).rejects.toThrow(/x\.tf:\d+/);
  });

  test('a misaligned line is not formatted', async () => {
    expect(await format('locals {\n  a = 1\n  long = 2\n}\n')).toBe('locals {\n  a    = 1\n  long = 2\n}\n');
  });
});

describe('names', () => {
  const declared = (kind: string): readonly string[] =>
    [...all.matchAll(new RegExp(`^${kind} "([a-z_]+)"`, 'gm'))].map(([, name]) => name ?? '').toSorted();

  test('every variable has a description, is used and is in docs/settings.md', () => {
    const variables = declared('variable');
    expect(variables.length).toBeGreaterThan(30);
    const blocks = all.split(/^variable /m).slice(1);
    expect(blocks.filter((block) => !/^ {2}description = "[^"]{8,}/m.test(block))).toEqual([]);
    expect(variables.filter((name) => !new RegExp(`var\\.${name}\\b`).test(all))).toEqual([]);
    expect(variables.filter((name) => !settings.includes(`\n| \`${name}\` |`))).toEqual([]);
  });

  test('every variable and local value that is used exists', () => {
    const used = (prefix: string) => [
      ...new Set(
        [...all.matchAll(new RegExp(`\\b${prefix}\\.([a-z_0-9]+)`, 'g'))].map(([, name]) => name ?? ''),
      ),
    ];
    expect(used('var').filter((name) => !declared('variable').includes(name))).toEqual([]);
    const missing = used('local').filter((name) => !new RegExp(`^ {2}${name} += `, 'm').test(all));
    expect(missing).toEqual([]);
  });

  test('containers and queues match the storage layout', () => {
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

test('bake-image.sh uses exactly the outputs in workers-image.tf', () => {
  const script = readFileSync(`${TERRAFORM}/bake/bake-image.sh`, 'utf8');
  const used = [...script.matchAll(/\bfleet ([a-z_]+)/g)].map(([, name]) => name ?? '');
  const outputs = files.find(({ name }) => name === 'workers-image.tf')?.text.matchAll(/^output "(\w+)"/gm);
  expect(used.toSorted()).toEqual([...(outputs ?? [])].map(([, name]) => name ?? '').toSorted());
});

test('Redis has the exact version of the compose file', () => {
  const image = /^ {2}default += "(?:docker\.io\/library\/)(redis:\d+\.\d+\.\d+\S*)"/m.exec(all)?.[1];
  expect(readFileSync('docker-compose.yml', 'utf8')).toContain(`image: ${image}\n`);
});

test('no key, password or connection string is read, stored or passed on', () => {
  const forbidden =
    /primary_access_key|connection_string|shared_key\b|admin_password\b|account_key|client_secret/;
  const bare = (text: string): string => text.replaceAll(/#.*$|"(?:[^"\\$]|\\.|\$(?!\{))*"/gm, '');
  expect(files.filter(({ text }) => forbidden.test(bare(text))).map(({ name }) => name)).toEqual([]);
});
