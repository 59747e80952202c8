/** Every reason of the scaler is documented: the names in its tables are those in the code. */
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { REASONS, REMOVAL_REASONS } from '../../scaler/decide/decision.ts';
import { BLOCK_REASONS } from '../../scaler/fleet/fleet.ts';

/** The names in the first column of each table. */
const TABLES = readFileSync('docs/scaling.md', 'utf8')
  .split('\n\n')
  .map((block) => [...block.matchAll(/^\| ([^|]*) \|/gm)].map(([, cell]) => cell ?? ''))
  .map((cells) => cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name ?? '')));

test.each([
  ['decision reason', REASONS],
  ['drain and removal reason', REMOVAL_REASONS],
  ['refusal reason of a pool', BLOCK_REASONS],
] as const)('docs/scaling.md lists every %s, and no other', (_, names) => {
  const [first] = names;
  const table = TABLES.find((cells) => first !== undefined && cells.includes(first)) ?? [];
  expect(table.toSorted()).toEqual([...names].toSorted());
});
