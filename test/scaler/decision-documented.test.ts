import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { REASONS, REMOVAL_REASONS } from '../../scaler/decide/decision.ts';
import { BLOCK_REASONS } from '../../scaler/fleet/fleet.ts';

const README = readFileSync('scaler/README.md', 'utf8');
/** The first cells of the table under this heading row. */
function firstCells(heading: string): readonly string[] {
  const [, after = ''] = README.split(`${heading}\n`);
  const [table = ''] = after.split('\n\n');
  const cells = table.split('\n').flatMap((line) => /^\| ([^|]*) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name ?? ''));
}

test.each([
  ['reason', '| reason | what it does | why |', REASONS],
  ['reason to go', '| why it goes | asked to drain | removed |', REMOVAL_REASONS],
  ['reason of a pool', '| a pool that refuses | rests | meanwhile |', BLOCK_REASONS],
] as const)('every %s is in the README, and no other', (_, heading, names) => {
  expect(firstCells(heading).toSorted()).toEqual([...names].toSorted());
});
