/** What the ground's README says in numbers and names, against the files it speaks of: what there is, what is set, what it costs. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

const GROUND = 'infra/terraform';
const readme = readFileSync(`${GROUND}/README.md`, 'utf8');
const textOf = (name: string): string => readFileSync(`${GROUND}/${name}`, 'utf8');
const variables = ['variables.tf', 'variables-fleet.tf', 'variables-programs.tf'].map(textOf).join('\n');

/** The rows of a section's table, as cells; without its head. */
function rowsOf(section: string): string[][] {
  const text = readme.split(/^## /m).find((one) => one.startsWith(`${section}\n`)) ?? '';
  return text
    .split('\n')
    .filter((line) => /^\| (?!-)/.test(line))
    .slice(1)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));
}
const namesIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '');

test('every file of the ground is in the table of what there is, and the other way round', () => {
  const named = rowsOf('What there is').flatMap(([cell]) => namesIn(cell));
  const present = [
    ...globSync(`${GROUND}/*.tf`).map((name) => path.basename(name)),
    ...globSync(`${GROUND}/*/`).map((name) => `${path.basename(name)}/`),
  ];
  expect(named.toSorted()).toEqual(present.toSorted());
});

test('every plain default is in the table of settings', () => {
  const blocks = [...variables.matchAll(/^variable "(\w+)" \{([\s\S]*?)^\}/gm)];
  const defaults = blocks.flatMap(([, name = '', body = '']) => {
    const value = /^ {2}default += "?([^"\n{[]+)"?$/m.exec(body)?.[1];
    return value === undefined || value === 'null' ? [] : [{ name, value }];
  });
  expect(defaults.length).toBeGreaterThan(15);
  const rows = rowsOf('Settings');
  const missing = defaults.filter(({ name, value }) => {
    const said = rows.find(([cell]) => namesIn(cell).includes(name))?.[1] ?? '';
    return !said.includes(value.replace('docker.io/library/', ''));
  });
  expect(missing).toEqual([]);
});

describe('costs', () => {
  const rows = rowsOf('What it costs');

  test('at rest are what their reckoning comes to, and add up', () => {
    const reckoned = rows.filter(([, reckoning = '']) => reckoning !== '');
    expect(reckoned.length).toBeGreaterThan(5);
    for (const [what, reckoning = '', about = ''] of reckoned) {
      const expression = reckoning
        .replaceAll(',', '')
        .replaceAll('×', '*')
        .replaceAll('÷', '/')
        .replaceAll('−', '-');
      expect(expression).toMatch(/^[\d.+*/() -]+$/);
      expect({ what, about: amountIn(about) }).toEqual({
        what,
        about: Math.round(Number(runInNewContext(expression))),
      });
    }
    const sum = reckoned.reduce((total, [, , about = '']) => total + amountIn(about), 0);
    const said = amountIn(rows.at(-1)?.[2] ?? '');
    // What has no reckoning is under 5.
    expect(said).toBeGreaterThan(sum);
    expect(said).toBeLessThan(sum + 5);
  });

  test('at rest are those of programs as large as here', () => {
    const [producer = '', others = ''] = rows.map(([, reckoning]) => reckoning);
    const [, cpu, memory] = /default = \{ cpu = (\S+), memory = (\S+) \}/.exec(variables) ?? [];
    expect(producer).toContain(`(${cpu} × 0.000024 + ${memory} × 0.000003)`);
    for (const file of ['scaler.tf', 'redis.tf']) {
      const size = /cpu += (\S+)\n +memory += "(\S+)Gi"/.exec(textOf(file));
      expect(others).toContain(`(${size?.[1]} × 0.000024 + ${size?.[2]} × 0.000003)`);
    }
  });

  test('at work are those that the scaler reckons with', () => {
    const priceOf = (size: string): readonly string[] => {
      const line = new RegExp(`${size} += \\{ on-demand = (\\S+), spot = (\\S+) \\}`).exec(
        textOf('sizes.tf'),
      );
      return [line?.[1], line?.[2]].map((price) => Number(price).toFixed(2));
    };
    const standard = /variable "gpu_vm_size"[\s\S]*?default += "(\w+)"/.exec(variables)?.[1] ?? '';
    const [cheap, a100, h100] = [standard, 'Standard_NC24ads_A100_v4', 'Standard_NC40ads_H100_v5'].map(
      priceOf,
    );
    expect(readme.replaceAll(/\s+/g, ' ')).toContain(
      `${cheap?.[0]} on demand and ${cheap?.[1]} spot for the default size; ` +
        `${a100?.join(' and ')} for an A100, ${h100?.join(' and ')} for an H100`,
    );
  });
});

test('the days for which something can be had back are those that the accounts keep', () => {
  const days = (file: string) =>
    [...textOf(file).matchAll(/(\w+)_retention_policy \{\n +days = (\d+)/g)].map(([, kind, count]) => [
      kind,
      count,
    ]);
  expect(days('storage-media.tf')).toEqual([
    ['delete', '3'],
    ['container_delete', '7'],
  ]);
  expect(days('storage-system.tf')).toEqual([['container_delete', '7']]);
  expect(readme).toContain('containers can be restored for a week, sources and results for three days');
});

/** The number in a cell: `**about 180**`, `−5`. */
const amountIn = (cell: string): number => Number(/-?\d+/.exec(cell.replace('−', '-'))?.[0]);
