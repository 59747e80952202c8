/** Compares what the documents say about Terraform with the configuration: files, default values, prices and retention. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

const TERRAFORM = 'infra/terraform';
const readme = readFileSync(`${TERRAFORM}/README.md`, 'utf8');
const settings = readFileSync('docs/settings.md', 'utf8');
const costs = readFileSync('docs/azure-costs.md', 'utf8');
const threats = readFileSync('docs/threats.md', 'utf8');
const textOf = (name: string): string => readFileSync(`${TERRAFORM}/${name}`, 'utf8');
const variables = ['variables.tf', 'variables-fleet.tf', 'variables-programs.tf'].map(textOf).join('\n');

/** The cells of a section's table, without the header row. */
function rowsOf(document: string, section: string): string[][] {
  const text = document.split(/^##? /m).find((one) => one.startsWith(`${section}\n`)) ?? '';
  return text
    .split('\n')
    .filter((line) => /^\| (?!-)/.test(line))
    .slice(1)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));
}
const namesIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '');

test('the table of files lists every file and folder, and no other', () => {
  const named = rowsOf(readme, 'What there is').flatMap(([cell]) => namesIn(cell));
  const present = [
    ...globSync(`${TERRAFORM}/*.tf`).map((name) => path.basename(name)),
    ...globSync(`${TERRAFORM}/*/`).map((name) => `${path.basename(name)}/`),
  ];
  expect(named.toSorted()).toEqual(present.toSorted());
});

test('the table of settings shows every simple default value', () => {
  const blocks = [...variables.matchAll(/^variable "(\w+)" \{([\s\S]*?)^\}/gm)];
  const defaults = blocks.flatMap(([, name = '', body = '']) => {
    const value = /^ {2}default += "?([^"\n{[]+)"?$/m.exec(body)?.[1];
    return value === undefined || value === 'null' ? [] : [{ name, value }];
  });
  expect(defaults.length).toBeGreaterThan(15);
  const rows = rowsOf(settings, 'Terraform variables');
  const missing = defaults.filter(({ name, value }) => {
    const shown = rows.find(([cell]) => namesIn(cell).includes(name))?.[1] ?? '';
    return !shown.includes(value.replace('docker.io/library/', ''));
  });
  expect(missing).toEqual([]);
});

describe('costs', () => {
  const rows = rowsOf(costs, 'Costs on Azure');

  test('while idle match their calculations and add up', () => {
    const calculated = rows.filter(([, calculation = '']) => calculation !== '');
    expect(calculated.length).toBeGreaterThan(5);
    for (const [what, calculation = '', about = ''] of calculated) {
      const expression = calculation
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
    const sum = calculated.reduce((subtotal, [, , about = '']) => subtotal + amountIn(about), 0);
    const total = amountIn(rows.at(-1)?.[2] ?? '');
    // The row without a calculation is under 5.
    expect(total).toBeGreaterThan(sum);
    expect(total).toBeLessThan(sum + 5);
  });

  test('while idle use the sizes of the programs in the configuration', () => {
    const [producer = '', others = ''] = rows.map(([, calculation]) => calculation);
    const [, cpu, memory] = /default = \{ cpu = (\S+), memory = (\S+) \}/.exec(variables) ?? [];
    expect(producer).toContain(`(${cpu} × 0.000024 + ${memory} × 0.000003)`);
    for (const file of ['scaler.tf', 'redis.tf']) {
      const size = /cpu += (\S+)\n +memory += "(\S+)Gi"/.exec(textOf(file));
      expect(others).toContain(`(${size?.[1]} × 0.000024 + ${size?.[2]} × 0.000003)`);
    }
  });

  test('of instances are the prices that the scaler uses', () => {
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
    expect(costs.replaceAll(/\s+/g, ' ')).toContain(
      `${cheap?.[0]} on demand and ${cheap?.[1]} spot for the default size; ` +
        `${a100?.join(' and ')} for an A100, ${h100?.join(' and ')} for an H100`,
    );
  });
});

test('docs/threats.md states the soft-delete retention of the accounts', () => {
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
  expect(threats).toContain('containers can be restored for a week, sources and results for three days');
});

/** The number in a cell: `**about 180**`, `−5`. */
const amountIn = (cell: string): number => Number(/-?\d+/.exec(cell.replace('−', '-'))?.[0]);
